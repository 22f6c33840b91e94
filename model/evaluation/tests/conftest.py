from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from model.export import photos

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def sample(imagenet_sample: Path) -> photos.Photos:
    """The 250 labelled photos, which are no part of the project."""
    return photos.read(imagenet_sample)

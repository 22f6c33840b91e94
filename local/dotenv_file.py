"""The settings in ``.env``, which Compose reads too."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dotenv import dotenv_values

if TYPE_CHECKING:
    from pathlib import Path


def inherit(path: Path) -> None:
    """Take those settings from ``path`` that are not in the environment."""
    for name, value in dotenv_values(path).items():
        if value is not None:
            os.environ.setdefault(name, value)

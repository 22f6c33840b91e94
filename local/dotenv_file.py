"""The settings in ``.env``, which Compose reads too."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dotenv import dotenv_values

if TYPE_CHECKING:
    from pathlib import Path


def inherit(path: Path) -> set[str]:
    """Take those settings from ``path`` that are not in the environment.

    Returns:
        The names of all that it has.
    """
    found = dotenv_values(path)
    for name, value in found.items():
        if value is not None:
            os.environ.setdefault(name, value)
    return set(found)

"""A picture a few rows at a time: NumPy copies what it gets of Pillow, and large pictures should not be there twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

_STRIP_PIXELS = 1 << 18


def strips(picture: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """Which rows, and the picture of them; together all of it."""
    width, height = picture.size
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        yield slice(top, bottom), picture.crop((0, top, width, bottom))

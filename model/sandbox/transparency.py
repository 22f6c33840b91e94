"""Transparency lies on white, the page on which viewers show a picture (docs/decisions/0029)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from model.sandbox.strips import strips

if TYPE_CHECKING:
    from cv2.typing import MatLike


def on_white(picture: Image.Image) -> MatLike:
    """What is transparent shows a white page.

    Args:
        picture: of any mode that converts to RGB; with a palette, that is changed.

    Returns:
        uint8, shape (height, width, 3), channels blue, green, red.
    """
    if picture.mode == "P":
        picture.apply_transparency()
        _lay_palette(picture)
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    for rows, strip in strips(picture):
        shown = _laid(strip).tobytes("raw", "BGR")
        pixels[rows] = np.frombuffer(shown, np.uint8).reshape(strip.height, strip.width, 3)
    return pixels


def _lay_palette(picture: Image.Image) -> None:
    if picture.palette is not None and picture.palette.mode == "RGBA":
        colours = bytes(picture.getpalette("RGBA") or ())
        picture.putpalette(_laid(Image.frombytes("RGBA", (len(colours) // 4, 1), colours)).tobytes())


def _laid(picture: Image.Image) -> Image.Image:
    """In RGB."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layered = picture.convert("RGBA")
    page = Image.new("RGB", picture.size, "white")
    page.paste(layered, mask=layered)
    return page

"""Encoded picture → a clean copy to show: upright, in sRGB, on white, and with nothing in the file but its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.encoding import encoded_jpeg, encoded_png
from model.shown_pixels import shown_pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from cv2.typing import MatLike

    from model.decode import Decoder

FEW_COLOURS = 256  # drawings and screenshots: a PNG is exact, and smaller
_LOOKED_AT_FIRST = 20_000  # pixels, by which nearly every photo is told from a drawing
_PIECE = 1 << 20  # pixels that are counted at once


def clean_copy(image: bytes, decoder: Decoder, on_progress: Callable[[], None] = lambda: None) -> bytes:
    """A PNG of a picture with few colours, a JPEG of any other; with the pixels of ``shown_pixels``.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``shown_pixels`` does.
    """
    pixels = shown_pixels(image, decoder, on_progress)
    return encoded_png(pixels) if _has_few_colours(pixels) else encoded_jpeg(pixels)


def _has_few_colours(pixels: MatLike) -> bool:
    flat = pixels.reshape(-1, 3)
    colours = _colours(flat[:: max(1, len(flat) // _LOOKED_AT_FIRST)])
    for start in range(0, len(flat), _PIECE):
        if len(colours) > FEW_COLOURS:
            return False
        colours |= _colours(flat[start : start + _PIECE])
    return len(colours) <= FEW_COLOURS


def _colours(pixels: MatLike) -> set[int]:
    """Of uint8 pixels of shape (n, 3), each as a number."""
    blue, green, red = (pixels[:, channel].astype(np.uint32) for channel in range(3))
    return set(np.unique(blue << 16 | green << 8 | red).tolist())

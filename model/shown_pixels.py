"""Encoded picture → the pixels that people are shown: upright, in sRGB, on white, and not too many."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from model.errors import DamagedImage
from model.opencv import cv2

if TYPE_CHECKING:
    from collections.abc import Callable

    from cv2.typing import MatLike

    from contract.image_header.header import Size
    from model.decode import Decoder

LONGEST_SIDE_PX = 4096  # a phone's photo stays as large as it is
_LARGEST_REDUCTION = 8


def shown_pixels(image: bytes, decoder: Decoder, on_progress: Callable[[], None] = lambda: None) -> MatLike:
    """The pixels, to be drawn on; no side is longer than ``LONGEST_SIDE_PX``.

    They are uint8 of shape (height, width, 3), channels blue, green, red. What is there of a damaged picture is
    shown. ``on_progress`` is called between two tries to decode it.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``Decoder.decode`` does.
    """
    decode = partial(decoder.decode, image, exif_orientation=True, reduction=_reduction)
    try:
        decoded = decode(strict=True)
    except DamagedImage:
        on_progress()
        decoded = decode(strict=False)
    return np.require(_within_bounds(decoded.pixels), requirements=["C", "W"])  # what the sandbox sends is read-only


def _reduction(size: Size) -> int:
    """The largest power of two that leaves a side of ``LONGEST_SIDE_PX``, if it is longer."""
    factor = max(1, max(size) // LONGEST_SIDE_PX)
    return min(1 << (factor.bit_length() - 1), _LARGEST_REDUCTION)


def _within_bounds(pixels: MatLike) -> MatLike:
    height, width = pixels.shape[:2]
    scale = LONGEST_SIDE_PX / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)

"""Encoded picture → a clean copy to show: upright, in sRGB, on white, and with nothing in the file but its pixels."""

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
JPEG_QUALITY = 90
FEW_COLOURS = 256  # drawings and screenshots: a PNG is exact, and smaller
_LOOKED_AT_FIRST = 20_000  # pixels, by which nearly every photo is told from a drawing
_PIECE = 1 << 20  # pixels that are counted at once
_LARGEST_REDUCTION = 8


def clean_copy(image: bytes, decoder: Decoder, on_progress: Callable[[], None] = lambda: None) -> bytes:
    """A PNG of a picture with few colours, a JPEG of any other; no side is longer than ``LONGEST_SIDE_PX``.

    What is there of a damaged picture is shown. ``on_progress`` is called between two tries to decode it.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``Decoder.decode`` does.
    """
    decode = partial(decoder.decode, image, exif_orientation=True, reduction=_reduction)
    try:
        decoded = decode(strict=True)
    except DamagedImage:
        on_progress()
        decoded = decode(strict=False)
    pixels = _within_bounds(decoded.pixels)
    if _has_few_colours(pixels):
        return _encoded(".png", pixels)
    return _encoded(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))


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


def _encoded(kind: str, pixels: MatLike, options: tuple[int, ...] = ()) -> bytes:
    """Raises RuntimeError: OpenCV can't, which is our fault."""
    written, encoded = cv2.imencode(kind, pixels, options)
    if not written:
        raise RuntimeError(f"OpenCV does not write {kind}")
    return encoded.tobytes()

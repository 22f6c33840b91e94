"""Pixels → an encoded picture to show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.opencv import cv2

if TYPE_CHECKING:
    from cv2.typing import MatLike

JPEG_QUALITY = 90


def encoded_png(pixels: MatLike) -> bytes:
    """Raises RuntimeError: OpenCV can't, which is our fault."""
    return _encoded(".png", pixels)


def encoded_jpeg(pixels: MatLike) -> bytes:
    """Raises RuntimeError: as ``encoded_png``."""
    return _encoded(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))


def _encoded(kind: str, pixels: MatLike, options: tuple[int, ...] = ()) -> bytes:
    written, encoded = cv2.imencode(kind, pixels, options)
    if not written:
        raise RuntimeError(f"OpenCV does not write {kind}")
    return encoded.tobytes()

"""WebP: of an animation the first frame (WebP container specification)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL.WebPImagePlugin import WebPImageFile

from model.sandbox.pillow import load

if TYPE_CHECKING:
    from PIL import Image

_FLAGS, _ANIMATED, _TRANSPARENT = 20, 0x02, 0x10  # the first, and in it the others
_EXTENDED = slice(12, 16)


def frame(image: bytes, max_pixels: int) -> Image.Image:
    """The picture, or the first of an animation; what that leaves of its canvas is transparent.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``model.sandbox.picture.read``.
    """
    if image[_EXTENDED] == b"VP8X" and len(image) > _FLAGS and image[_FLAGS] & _ANIMATED:
        # Not all animations say so whose first frame leaves something of the canvas.
        image = image[:_FLAGS] + bytes([image[_FLAGS] | _TRANSPARENT]) + image[_FLAGS + 1 :]
    return load(WebPImageFile, image, max_pixels)

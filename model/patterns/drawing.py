"""A picture of a part with a learnt pattern drawn on it, of a size that names can be read on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.drawing import draw_on
from model.encoding import encoded_png
from model.opencv import cv2
from model.shown_pixels import shown_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cv2.typing import MatLike

    from model.decode import Decoder
    from model.drawing import Drawn

LONGEST_SIDE_PX, SHORTEST_LONG_SIDE_PX = 1600, 800  # on smaller ones names would hide what is in the picture


def draw(image: bytes, decoder: Decoder, boxes: Sequence[Drawn]) -> bytes:
    """A PNG of the picture, upright, with the boxes on it; its longer side is within the two bounds above.

    Raises:
        PictureError: as ``shown_pixels`` does.
    """
    pixels = _within_bounds(shown_pixels(image, decoder))
    draw_on(pixels, boxes)
    return encoded_png(pixels)


def _within_bounds(pixels: MatLike) -> MatLike:
    height, width = pixels.shape[:2]
    longest = max(height, width)
    scale = min(max(longest, SHORTEST_LONG_SIDE_PX), LONGEST_SIDE_PX) / longest
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)

"""A picture with boxes drawn on it, legible on any background."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from model.opencv import cv2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cv2.typing import MatLike

    from contract.image_header.header import Size
    from contract.patterns.pattern import RelativeBox
    from model.decode import Decoder

LONGEST_SIDE_PX, SHORTEST_LONG_SIDE_PX = 1600, 800  # on smaller ones names would hide what is in the picture
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
# Blue, green, red; told apart by people who see no red or green too (Okabe and Ito).
COLOURS = ((178, 114, 0), (0, 159, 230), (115, 158, 0), (167, 121, 204), (233, 180, 86), (0, 94, 213))
TEXT_PX, TEXT_WEIGHT = 18, 600  # semibold
_LARGEST_REDUCTION = 8


class Drawn(NamedTuple):
    """A box of lines ``width`` pixels thick; ``name``, if it has one, stands at its upper left corner."""

    box: RelativeBox
    colour: tuple[int, int, int]
    width: int
    name: str = ""


def draw(image: bytes, decoder: Decoder, boxes: Sequence[Drawn]) -> bytes:
    """A PNG of the picture, upright, with the boxes on it; its longer side is within the two bounds above.

    Raises:
        PictureError: as ``Decoder.decode`` does.
    """
    decoded = decoder.decode(image, exif_orientation=True, reduction=_reduction)
    pixels = _within_bounds(decoded.pixels)
    for drawn in boxes:
        _draw_box(pixels, drawn)
    for drawn in boxes:  # names lie above all lines
        if drawn.name:
            _draw_name(pixels, drawn)
    return cv2.imencode(".png", pixels)[1].tobytes()


def _reduction(size: Size) -> int:
    """The largest power of two that leaves a side of ``LONGEST_SIDE_PX``, if it is longer."""
    factor = max(1, max(size) // LONGEST_SIDE_PX)
    return min(1 << (factor.bit_length() - 1), _LARGEST_REDUCTION)


def _within_bounds(pixels: MatLike) -> MatLike:
    height, width = pixels.shape[:2]
    longest = max(height, width)
    scale = min(max(longest, SHORTEST_LONG_SIDE_PX), LONGEST_SIDE_PX) / longest
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _draw_box(pixels: MatLike, drawn: Drawn) -> None:
    first, last = _corners(pixels, drawn.box)
    cv2.rectangle(pixels, first, last, WHITE, drawn.width + 2)
    cv2.rectangle(pixels, first, last, drawn.colour, drawn.width)


def _draw_name(pixels: MatLike, drawn: Drawn) -> None:
    font = cv2.FontFace("sans")
    height, width = pixels.shape[:2]
    (left, top), _ = _corners(pixels, drawn.box)
    _, _, text_width, _ = cv2.getTextSize((0, 0), drawn.name, (0, 0), font, TEXT_PX, TEXT_WEIGHT)
    left = max(0, min(left, width - text_width - 4))
    bottom = max(TEXT_PX + 6, min(top, height))
    cv2.rectangle(pixels, (left, bottom - TEXT_PX - 6), (left + text_width + 4, bottom), drawn.colour, cv2.FILLED)
    colour = BLACK if sum(drawn.colour) > sum(WHITE) / 2 else WHITE
    cv2.putText(pixels, drawn.name, (left + 2, bottom - 6), colour, font, TEXT_PX, TEXT_WEIGHT)


def _corners(pixels: MatLike, box: RelativeBox) -> tuple[tuple[int, int], tuple[int, int]]:
    height, width = pixels.shape[:2]
    return (
        (round(box.left * (width - 1)), round(box.top * (height - 1))),
        (round(box.right * (width - 1)), round(box.bottom * (height - 1))),
    )

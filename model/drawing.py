"""Boxes with names, drawn on a picture: legible on any background, and in proportion to it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from model.opencv import cv2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cv2.typing import MatLike
    from numpy.typing import NDArray

    from contract.patterns.pattern import RelativeBox

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
# Blue, green, red; told apart by people who see no red or green too (Okabe and Ito).
COLOURS = ((178, 114, 0), (0, 159, 230), (115, 158, 0), (167, 121, 204), (233, 180, 86), (0, 94, 213))
TEXT_PX, TEXT_WEIGHT = 14, 600  # semibold; smaller text can't be read, however small the picture is
SIDE_PX = 1000  # of a square that has as many pixels as a picture with lines and text of such sizes
THINNEST_SHARE = 1 / 20  # of the shorter side that a line takes at most
LONGEST_NAME = 80  # characters
MOST_ROWS = 16  # in a box, that are tried for its name
_LIGHT = 0.18  # luminance above which black is told from a colour more easily than white
_CUT_OFF = "…"


class Drawn(NamedTuple):
    """A box; ``name``, if it has one, stands at one of its corners.

    ``width`` is that of its lines in pixels, on a picture of ``SIDE_PX`` or less, and grows with the picture.
    """

    box: RelativeBox
    colour: tuple[int, int, int]
    width: int
    name: str = ""


class _Place(NamedTuple):
    """Pixels from ``left`` to ``right`` and from ``top`` to ``bottom``."""

    left: int
    top: int
    right: int
    bottom: int

    def of(self, taken: NDArray[np.bool]) -> NDArray[np.bool]:
        """This part of all pixels."""
        return taken[self.top : self.bottom, self.left : self.right]


def draw_on(pixels: MatLike, boxes: Sequence[Drawn]) -> None:
    """Draw into a picture of uint8, shape (height, width, 3). What comes later lies above what comes before.

    Names lie above all lines, within the picture, and where they hide as little of each other as can be: the last is
    placed first. One that is too long for the picture is cut off.
    """
    height, width = pixels.shape[:2]
    scale = max(1.0, math.sqrt(height * width) / SIDE_PX)
    for drawn in boxes:
        _draw_box(pixels, drawn, scale)
    text_px = round(TEXT_PX * scale)
    placed: list[tuple[_Place, str, Drawn]] = []
    taken = np.zeros((height, width), np.bool)
    for drawn in reversed(boxes):
        if drawn.name:
            name, name_width = _fitting(drawn.name, width, text_px)
            place = _best_place(taken, _places(pixels, drawn.box, (name_width, _name_height(text_px))))
            place.of(taken)[:] = True
            placed.append((place, name, drawn))
    for place, name, drawn in reversed(placed):
        _draw_name(pixels, place, name, drawn, text_px)


def _draw_box(pixels: MatLike, drawn: Drawn, scale: float) -> None:
    """With a black and a white edge, of which one is seen on any background, and the other keeps the colour apart."""
    most = max(1, int(min(pixels.shape[:2]) * THINNEST_SHARE))
    width, edge = min(round(drawn.width * scale), most), min(max(1, round(scale)), most)
    first, last = _corners(pixels, drawn.box)
    contrary = _contrary(drawn.colour)
    cv2.rectangle(pixels, first, last, BLACK if contrary == WHITE else WHITE, width + 4 * edge)
    cv2.rectangle(pixels, first, last, contrary, width + 2 * edge)
    cv2.rectangle(pixels, first, last, drawn.colour, width)


def _draw_name(pixels: MatLike, place: _Place, name: str, drawn: Drawn, text_px: int) -> None:
    left, top, right, bottom = place
    contrary = _contrary(drawn.colour)
    cv2.rectangle(pixels, (left, top), (right - 1, bottom - 1), drawn.colour, cv2.FILLED)
    cv2.rectangle(pixels, (left, top), (right - 1, bottom - 1), contrary, 1)
    baseline = bottom - round(text_px * 0.35)
    cv2.putText(pixels, name, (left + _margin(text_px), baseline), contrary, _font(), text_px, TEXT_WEIGHT)


def _best_place(taken: NDArray[np.bool], places: Iterator[_Place]) -> _Place:
    """Where the names that are there are hidden least; of equal places the first."""
    best = next(places)
    best_px = np.count_nonzero(best.of(taken))
    for place in places:
        if not best_px:
            break
        hidden_px = np.count_nonzero(place.of(taken))
        if hidden_px < best_px:
            best, best_px = place, hidden_px
    return best


def _places(pixels: MatLike, box: RelativeBox, size: tuple[int, int]) -> Iterator[_Place]:
    """Above the box, in it from its upper edge down, and below it; on the left and on the right. In the picture."""
    (left, top), (right, bottom) = _corners(pixels, box)
    width, height = size
    step = max(height, (bottom - top) // MOST_ROWS)
    rows = [top - height, *range(top, max(top + 1, bottom - height), step), bottom]
    for row in rows:
        for column in (left, right - width):
            yield _inside(pixels, column, row, size)


def _inside(pixels: MatLike, left: int, top: int, size: tuple[int, int]) -> _Place:
    height, width = pixels.shape[:2]
    left, top = max(0, min(left, width - size[0])), max(0, min(top, height - size[1]))
    return _Place(left, top, left + size[0], top + size[1])


def _fitting(name: str, width: int, text_px: int) -> tuple[str, int]:
    """A name in one line that is no wider than the picture, as far as that is possible, and its width in pixels."""
    text = "".join(letter if letter.isprintable() else "?" for letter in " ".join(name.split()))
    shown = text[:LONGEST_NAME]
    while True:
        told = shown if shown == text else shown + _CUT_OFF
        _, _, text_width, _ = cv2.getTextSize((0, 0), told, (0, 0), _font(), text_px, TEXT_WEIGHT)
        name_width = text_width + 2 * _margin(text_px)
        if name_width <= width or len(shown) <= 1:
            return told, name_width
        shown = shown[: max(1, min(len(shown) - 1, len(shown) * width // name_width))]


def _font() -> cv2.FontFace:
    """OpenCV's own: it has Latin, Greek, Cyrillic, Hebrew, Arabic and Chinese letters, and "?" for any other."""
    return cv2.FontFace("sans")


def _name_height(text_px: int) -> int:
    return round(text_px * 1.35)


def _margin(text_px: int) -> int:
    return max(2, text_px // 6)


def _contrary(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever is told from the colour more easily."""
    blue, green, red = ((channel / 255) ** 2.2 for channel in colour)
    return BLACK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > _LIGHT else WHITE


def _corners(pixels: MatLike, box: RelativeBox) -> tuple[tuple[int, int], tuple[int, int]]:
    """The first and the last pixel of a box, or of what is in the picture of it."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = (max(0.0, min(1.0, edge)) for edge in box)
    return (
        (round(left * (width - 1)), round(top * (height - 1))),
        (round(right * (width - 1)), round(bottom * (height - 1))),
    )

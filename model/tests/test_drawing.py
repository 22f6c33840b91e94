"""Boxes and names on pictures: seen on any background, in the picture, and not on top of each other."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from contract.messages import Box, DetectedObject, DrawJob
from contract.patterns.pattern import RelativeBox
from model.decode import Decoder
from model.detection.drawn import drawn_picture
from model.drawing import COLOURS, Drawn, draw_on
from tests.pictures import odd, oriented

BOX = RelativeBox(0.25, 0.25, 0.75, 0.75)


def canvas(width: int = 400, height: int = 300, colour: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def filled_px(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((pixels == colour).all(axis=2).sum())


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """As the WCAG define it, of blue, green and red."""
    lighter, darker = sorted(map(_luminance, (one, other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: tuple[int, ...]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in np.array(colour) / 255]
    return float(np.dot(linear, (0.0722, 0.7152, 0.2126)))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255), (128, 128, 128), *COLOURS])
def test_a_box_is_seen_on_any_background(colour, background):
    pixels = canvas(colour=background)
    draw_on(pixels, [Drawn(BOX, colour, 3)])
    drawn = {tuple(pixel) for pixel in pixels[150, 80:120].tolist()} - {background}

    assert max(contrast(line, background) for line in drawn) >= 3


@pytest.mark.parametrize("colour", COLOURS)
def test_a_name_is_told_from_what_is_behind_it(colour):
    pixels = canvas(colour=(1, 2, 3))
    draw_on(pixels, [Drawn(RelativeBox(0.5, 0.5, 0.5, 0.5), colour, 1, "HHHH 0.50")])
    label = pixels[(pixels == colour).all(axis=2).any(axis=1)]
    text = [other for other in ((0, 0, 0), (255, 255, 255)) if (label == other).all(axis=2).sum() > 50]

    assert [contrast(colour, other) >= 4.5 for other in text] == [True]


@pytest.mark.parametrize(
    "box", [(0, 0, 1, 1), (0, 0, 0.1, 0.1), (0.9, 0, 1, 0.1), (0.9, 0.9, 1, 1), (0, 0.9, 0.1, 1), (-9, -9, 9, 9)]
)
def test_a_name_is_whole_wherever_its_box_lies(box):
    colour = COLOURS[0]
    inside, at_border = canvas(), canvas()
    draw_on(inside, [Drawn(RelativeBox(0.5, 0.5, 0.5, 0.5), colour, 0, "tennis racket 0.93")])
    draw_on(at_border, [Drawn(RelativeBox(*box), colour, 0, "tennis racket 0.93")])

    assert filled_px(at_border, colour) >= 0.95 * filled_px(inside, colour)


def test_names_of_boxes_in_one_place_stand_side_by_side():
    boxes = [Drawn(BOX, colour, 1, f"class {number} 0.50") for number, colour in enumerate(COLOURS)]
    alone = []
    for drawn in boxes:
        pixels = canvas()
        draw_on(pixels, [drawn._replace(box=RelativeBox(0.5, 0.5, 0.5, 0.5))])
        alone.append(filled_px(pixels, drawn.colour))
    together = canvas()
    draw_on(together, boxes)

    assert all(filled_px(together, drawn.colour) >= px * 0.9 for drawn, px in zip(boxes, alone, strict=True))


def test_lines_and_names_grow_with_the_picture():
    small, large = canvas(400, 300), canvas(4000, 3000)
    for pixels in (small, large):
        draw_on(pixels, [Drawn(BOX, COLOURS[0], 3, "cat 0.93")])

    assert filled_px(large, COLOURS[0]) > 20 * filled_px(small, COLOURS[0])


@pytest.mark.parametrize("name", ["Größe", "кошка", "猫", "ねこ", "γάτα", "חתול", "\N{CAT FACE}", "a\nb\x00\u202ec"])
def test_letters_of_other_languages_are_drawn(name):
    """What the font does not have is a question mark."""
    nothing, pixels = canvas(), canvas()
    draw_on(nothing, [Drawn(BOX, COLOURS[0], 1, " ")])
    draw_on(pixels, [Drawn(BOX, COLOURS[0], 1, name)])

    assert (pixels != nothing).any()
    assert filled_px(pixels[:50], (255, 255, 255)) == pixels[:50].size // 3  # it is one line


def test_a_name_that_is_longer_than_the_picture_is_cut_off():
    pixels = canvas(100, 100)
    draw_on(pixels, [Drawn(BOX, COLOURS[0], 1, "cat " * 100_000)])

    assert (pixels[:, -1] == 255).any()


# A detection


def job(size: tuple[int, int], *boxes: Box, media_type: str = "image/png") -> DrawJob:
    objects = tuple(DetectedObject("cat", 0.9 - number / 10, number, box) for number, box in enumerate(boxes))
    return DrawJob("0" * 64, media_type, *size, objects)


def drawn(image: bytes, job: DrawJob) -> Image.Image:
    with Decoder(50_000_000) as decoder:
        return Image.open(BytesIO(drawn_picture(image, job, decoder, lambda: None)))


@pytest.mark.parametrize(("media_type", "kind"), [("image/png", "PNG"), ("image/jpeg", "JPEG")])
def test_the_picture_keeps_its_size_and_has_the_wanted_kind(media_type, kind):
    shown = drawn(odd.CHELSEA.read_bytes(), job((451, 300), Box(10, 10, 400, 290), media_type=media_type))

    assert (shown.size, shown.format) == ((451, 300), kind)


def test_a_worker_that_draws_is_seen_to_go_on_once_it_has_decoded():
    """Both may take seconds, and one that is taken for hung ends."""
    steps: list[str] = []
    with Decoder(50_000_000) as decoder:
        drawn_picture(odd.CHELSEA.read_bytes(), job((451, 300)), decoder, lambda: steps.append("decoded"))

    assert steps == ["decoded"]


def test_boxes_are_drawn_on_the_upright_picture():
    picture = oriented.jpeg(exif_data=oriented.exif(6))
    upright = drawn(picture, job((1, 1))).size
    width, height = upright
    pixels = np.asarray(drawn(picture, job(upright, Box(0, 0, width, height / 2))).convert("RGB"))
    colour = COLOURS[0][::-1]

    assert (pixels[height // 2 - 2 : height // 2 + 2, width // 2] == colour).all(axis=1).any()
    assert not (pixels[height * 3 // 4, :] == colour).all(axis=1).any()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (20_000, 1), (1, 20_000)])
def test_a_picture_of_any_shape_can_be_drawn_on(size):
    picture = odd.encoded(Image.new("RGB", size, "red"), "PNG")
    shown = drawn(picture, job(size, Box(0, 0, *size), Box(0, 0, 1, 1)))

    assert shown.size == tuple(min(side, 4096) for side in size)

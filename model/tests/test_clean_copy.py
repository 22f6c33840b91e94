"""What is shown of a picture: its pixels, as a person sees them, and nothing else of the file."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from model.clean_copy import clean_copy
from model.decode import Decoder
from model.errors import UnsupportedImage
from model.shown_pixels import LONGEST_SIDE_PX
from tests.pictures import odd, oriented

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = "somewhere in particular"


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(50_000_000) as decoder:
        yield decoder


def shown(image: bytes, decoder: Decoder) -> Image.Image:
    return Image.open(BytesIO(clean_copy(image, decoder)))


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_copy_is_upright_and_says_nothing_of_which_way_it_was(decoder, orientation):
    copy = shown(oriented.jpeg(exif_data=oriented.exif(orientation)), decoder)
    expected = Image.open(BytesIO(oriented.jpeg())).convert("RGB")
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }  # fmt: skip
    if orientation in turned:
        expected = expected.transpose(turned[orientation])

    difference = np.abs(np.asarray(copy.convert("RGB"), np.int16) - np.asarray(expected, np.int16))
    assert copy.size == expected.size
    assert difference.mean() < 3
    assert dict(copy.getexif()) == {}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_copy_has_neither_place_nor_words_of_the_file(decoder, kind):
    """Phones write where a photo was taken; other programs write who took it and what is in it."""
    exif = Image.Exif()
    exif[0x010E] = PLACE  # ImageDescription
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)  # GPSLatitude
    options = {"comment": PLACE.encode()} if kind == "JPEG" else {}
    image = odd.encoded(noise(64, 48), kind, exif=exif, **options)
    assert PLACE.encode() in image

    copy = clean_copy(image, decoder)

    assert PLACE.encode() not in copy
    assert set(Image.open(BytesIO(copy)).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_a_photo_is_a_jpeg_and_a_drawing_a_png_of_the_same_pixels(decoder):
    drawing = odd.encoded(oriented.corners(), "PNG")

    assert shown(odd.encoded(noise(64, 48), "PNG"), decoder).format == "JPEG"
    copy = shown(drawing, decoder)
    assert copy.format == "PNG"
    assert np.array_equal(np.asarray(copy.convert("RGB")), np.asarray(oriented.corners()))


def test_transparency_lies_on_white(decoder):
    copy = shown(odd.encoded(Image.new("RGBA", (8, 8), (10, 20, 30, 0)), "PNG"), decoder)

    assert copy.convert("RGB").getpixel((4, 4)) == (255, 255, 255)


def test_a_large_picture_is_made_smaller_in_its_own_proportions(decoder):
    copy = shown(odd.encoded(Image.new("RGB", (9000, 900), "teal"), "JPEG"), decoder)

    assert max(copy.size) == LONGEST_SIDE_PX
    assert copy.size[0] / copy.size[1] == pytest.approx(10, rel=0.01)


def test_what_is_there_of_a_damaged_picture_is_shown(decoder):
    whole = odd.encoded(noise(256, 256), "JPEG")

    assert shown(whole[: len(whole) // 2], decoder).size == (256, 256)


def test_what_is_no_picture_has_no_copy(decoder):
    with pytest.raises(UnsupportedImage):
        clean_copy(b"<script>alert(1)</script>", decoder)

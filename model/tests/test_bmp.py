"""BMP: programs have written it for forty years, with every freedom that its descriptions leave."""

from __future__ import annotations

import struct
from functools import cache

import numpy as np
import pytest
from PIL import ImageFile

from model.errors import DamagedImage, TooManyPixels, UnsupportedImage
from model.sandbox import bmp
from tests.pictures import bmp_files, odd

WIDTH, HEIGHT = 151, 101  # so that rows of every depth need padding
MAX_PIXELS = WIDTH * HEIGHT
PHOTO = odd.photo().resize((WIDTH, HEIGHT))
PIXELS = np.asarray(PHOTO)
BGR = (0xFF0000, 0xFF00, 0xFF)

LONG_HEADERS = [16, 20, 24, 40, 42, 46, 48, 52, 56, 60, 64, 108, 124]
MASKED_HEADERS = [40, 52, 56, 108, 124]


@pytest.fixture
def _lenient(monkeypatch) -> None:
    """As the sandbox asks for what there is."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)


def shown(image):
    return np.asarray(bmp.frame(image, MAX_PIXELS).convert("RGB"))


@cache
def quantized(bits):
    """The photo in as few colours: their numbers, the palette, and what is seen."""
    picture = PHOTO.quantize(2**bits)
    palette = np.array(picture.getpalette(), np.uint8).reshape(-1, 3)
    return np.asarray(picture), palette, np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("header", LONG_HEADERS)
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_every_header_has_a_palette_behind_it(header, bits, top_down):
    numbers, palette, expected = quantized(bits)

    image = bmp_files.bmp(numbers, bits, header=header, palette=palette, top_down=top_down)

    np.testing.assert_array_equal(shown(image), expected)


@pytest.mark.parametrize("header", [12, *LONG_HEADERS])
@pytest.mark.parametrize("bits", [24, 32])
def test_without_masks_the_bytes_are_blue_green_and_red(header, bits):
    """The fourth byte means nothing, whatever stands in it: here 0, which is no transparency."""
    image = bmp_files.bmp(bmp_files.words(PIXELS, BGR), bits, header=header)

    np.testing.assert_array_equal(shown(image), PIXELS)


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_the_first_header_of_all_has_colours_of_three_bytes(bits):
    numbers, palette, expected = quantized(bits)

    np.testing.assert_array_equal(shown(bmp_files.bmp(numbers, bits, header=12, palette=palette)), expected)


def test_sixteen_bits_without_masks_are_three_times_five():
    masks = (0x7C00, 0x3E0, 0x1F)

    image = bmp_files.bmp(bmp_files.words(PIXELS, masks), 16)

    np.testing.assert_array_equal(shown(image), bmp_files.shown(PIXELS, masks))


MASKS = {
    "5-5-5": (16, (0x7C00, 0x3E0, 0x1F)),
    "5-6-5": (16, (0xF800, 0x7E0, 0x1F)),
    "5-6-5, red and blue exchanged": (16, (0x1F, 0x7E0, 0xF800)),
    "4-4-4": (16, (0xF00, 0xF0, 0xF)),
    "3-3-2": (16, (0xE0, 0x1C, 0x3)),
    "1-1-1": (16, (0x4, 0x2, 0x1)),
    "8-8-0: no blue": (16, (0xFF00, 0xFF, 0)),
    "8-8-8 of 24 bits": (24, BGR),
    "8-8-8 of 24 bits, exchanged": (24, (0xFF, 0xFF00, 0xFF0000)),
    "8-8-8": (32, BGR),
    "8-8-8, red lowest": (32, (0xFF, 0xFF00, 0xFF0000)),
    "8-8-8 in the upper bytes": (32, (0xFF000000, 0xFF0000, 0xFF00)),
    "8-8-8 that start within bytes": (32, (0xFF00000, 0xFF000, 0xFF0)),
    "10-10-10": (32, (0x3FF00000, 0xFFC00, 0x3FF)),
    "10-11-11": (32, (0x3FF, 0x1FFC00, 0xFFE00000)),
    "5-6-5 of 32 bits": (32, (0xF800, 0x7E0, 0x1F)),
    "20-6-6": (32, (0xFFFFF000, 0xFC0, 0x3F)),
}


@pytest.mark.parametrize("header", MASKED_HEADERS)
@pytest.mark.parametrize(("bits", "masks"), MASKS.values(), ids=MASKS.keys())
def test_masks_say_where_the_colours_are(header, bits, masks):
    image = bmp_files.bmp(
        bmp_files.words(PIXELS, masks), bits, header=header, compression=bmp_files.BITFIELDS, masks=masks
    )

    np.testing.assert_allclose(shown(image), bmp_files.shown(PIXELS, masks), atol=1)


TRANSPARENT_MASKS = {
    "8-8-8-8": (32, (*BGR, 0xFF000000)),
    "8-8-8-8, lowest": (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
    "10-10-10-2": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
    "4-4-4-4": (16, (0xF00, 0xF0, 0xF, 0xF000)),
    "5-5-5-1": (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
}


@pytest.mark.parametrize(
    ("header", "compression"),
    [(40, bmp_files.ALPHA_BITFIELDS), *((header, bmp_files.BITFIELDS) for header in (56, 108, 124))],
)
@pytest.mark.parametrize(("bits", "masks"), TRANSPARENT_MASKS.values(), ids=TRANSPARENT_MASKS.keys())
def test_a_fourth_mask_is_transparency(header, compression, bits, masks):
    alpha = np.broadcast_to(np.linspace(0, 255, WIDTH).astype(np.uint8)[:, None], (HEIGHT, WIDTH, 1))
    channels = np.concatenate([PIXELS, alpha], axis=-1)

    image = bmp_files.bmp(bmp_files.words(channels, masks), bits, header=header, compression=compression, masks=masks)

    picture = bmp.frame(image, MAX_PIXELS)
    assert picture.mode == "RGBA"
    np.testing.assert_allclose(np.asarray(picture), bmp_files.shown(channels, masks), atol=1)


def test_transparency_that_is_0_everywhere_is_none():
    """Programs that know no transparency leave it at 0; every viewer shows the picture."""
    masks = (*BGR, 0xFF000000)
    channels = np.concatenate([PIXELS, np.zeros((HEIGHT, WIDTH, 1), np.uint8)], axis=-1)

    image = bmp_files.bmp(
        bmp_files.words(channels, masks), 32, header=124, compression=bmp_files.BITFIELDS, masks=masks
    )

    assert bmp.frame(image, MAX_PIXELS).mode == "RGB"
    np.testing.assert_array_equal(shown(image), PIXELS)


RUNS = {
    f"{'literal' if literal else 'runs only'}, {'whole rows' if whole_rows else 'without padding'}": {
        "literal": literal, "whole_rows": whole_rows,
    }
    for literal in (True, False)
    for whole_rows in (True, False)
}  # fmt: skip


@pytest.mark.parametrize("width", [WIDTH, WIDTH - 1, 3, 1])
@pytest.mark.parametrize("kind", RUNS.values(), ids=RUNS.keys())
@pytest.mark.parametrize(("bits", "compression"), [(8, bmp_files.RLE8), (4, bmp_files.RLE4)])
def test_run_lengths_with_and_without_padding(bits, compression, kind, width):
    numbers, palette, expected = quantized(bits)
    numbers = numbers[:, :width]

    data = bmp_files.runs(numbers, bits, **kind)
    image = bmp_files.bmp(numbers, bits, compression=compression, palette=palette, data=data)

    np.testing.assert_array_equal(shown(image), expected[:, :width])


def test_a_run_of_four_bits_alternates_between_two_colours():
    palette = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    data = bytes([5, 0x12, 0, 0, 0, 1])

    image = bmp_files.bmp(np.zeros((1, 5)), 4, compression=bmp_files.RLE4, palette=palette, data=data)

    assert shown(image)[0, :, 0].tolist() == [255, 0, 255, 0, 255]


def test_what_runs_move_over_has_the_first_colour():
    palette = np.array([[10, 20, 30], [255, 0, 0]], np.uint8)
    move_right_and_up = bytes([1, 1, 0, 2, 2, 1, 1, 1, 0, 1])

    image = bmp_files.bmp(np.zeros((2, 4)), 8, compression=bmp_files.RLE8, palette=palette, data=move_right_and_up)

    assert shown(image)[..., 0].tolist() == [[10, 10, 10, 255], [255, 10, 10, 10]]


def test_colours_that_a_short_palette_does_not_have_are_black():
    palette = np.array([[200, 200, 200]], np.uint8)

    image = bmp_files.bmp(np.array([[0, 1, 0]]), 8, palette=palette)

    assert shown(image)[0, :, 0].tolist() == [200, 0, 200]


def test_a_palette_ends_where_the_pixels_start_whatever_it_claims():
    numbers, palette, expected = quantized(4)
    image = bytearray(bmp_files.bmp(numbers, 4, palette=palette[:16]))
    struct.pack_into("<I", image, 46, 5_000)

    np.testing.assert_array_equal(shown(bytes(image)), expected)


def test_the_profile_in_the_file_is_handed_on():
    image = bmp_files.bmp(bmp_files.words(PIXELS, BGR), 24, header=124, profile=b"of colours")

    assert bmp.frame(image, MAX_PIXELS).info["icc_profile"] == b"of colours"


def test_the_last_rows_padding_may_be_missing():
    image = bmp_files.bmp(bmp_files.words(PIXELS, BGR), 24)
    padding = -WIDTH * 3 % 4

    np.testing.assert_array_equal(shown(image[:-padding]), PIXELS)


def whole_run_lengths():
    numbers, palette, _ = quantized(8)
    data = bmp_files.runs(numbers, 8)
    return bmp_files.bmp(numbers, 8, compression=bmp_files.RLE8, palette=palette, data=data)


def with_bytes(image, position, content):
    return image[:position] + content + image[position + len(content) :]


WHOLE = bmp_files.bmp(bmp_files.words(PIXELS, BGR), 24)
ONE_RED = np.array([[0, 0, 0], [255, 0, 0]], np.uint8)


def runs_of(data):
    return bmp_files.bmp(np.zeros((4, 4)), 8, compression=bmp_files.RLE8, palette=ONE_RED, data=bytes(data))


DAMAGED = {
    "only its signature": b"BM",
    "cut in its header": WHOLE[:40],
    "cut in its last row": WHOLE[:-8],
    "cut in half": WHOLE[: len(WHOLE) // 2],
    "a palette without the colours of its pixels": with_bytes(
        bmp_files.bmp(np.array([[0, 1, 2]]), 8, palette=ONE_RED), 46, struct.pack("<I", 256)
    ),
    "of no width": with_bytes(WHOLE, 18, bytes(4)),
    "of no height": with_bytes(WHOLE, 22, bytes(4)),
    "of a width below 0": with_bytes(WHOLE, 18, struct.pack("<i", -5)),
    "with its pixels in its header": with_bytes(WHOLE, 10, struct.pack("<I", 20)),
    "run lengths cut in half": whole_run_lengths()[:-4_000],
    "run lengths without their last row": runs_of([4, 1, 0, 0, 4, 1, 0, 0, 4, 1, 0, 1]),
    "a run behind the row's end": runs_of([200, 1, *[0, 0] * 4, 0, 1]),
    "a move behind the row's end": runs_of([0, 2, 200, 0, 1, 1, *[0, 0] * 4, 0, 1]),
    "literal colours that are not there": runs_of([*[4, 1, 0, 0] * 3, 0, 4, 1, 1]),
}


@pytest.mark.parametrize("image", DAMAGED.values(), ids=DAMAGED.keys())
def test_what_is_damaged_is_refused(image):
    with pytest.raises(DamagedImage, match="damaged"):
        bmp.frame(image, MAX_PIXELS)


@pytest.mark.usefixtures("_lenient")
def test_what_there_is_of_a_damaged_one_is_shown_if_that_is_wanted():
    """The rows lie from bottom to top."""
    numbers, palette, expected = quantized(8)
    data = bmp_files.runs(numbers, 8)
    cut_runs = bmp_files.bmp(numbers, 8, compression=bmp_files.RLE8, palette=palette, data=data[: len(data) // 2])

    np.testing.assert_array_equal(shown(WHOLE[: len(WHOLE) // 2])[-40:], PIXELS[-40:])
    np.testing.assert_array_equal(shown(cut_runs)[-40:], expected[-40:])


UNSUPPORTED = {
    "a header of 13 bytes": with_bytes(WHOLE, 14, struct.pack("<I", 13)),
    "a PNG in it": with_bytes(WHOLE, 28, struct.pack("<HI", 0, 5)),
    "64 bits a pixel": with_bytes(WHOLE, 28, struct.pack("<H", 64)),
    "run lengths of 24 bits": with_bytes(WHOLE, 30, struct.pack("<I", 1)),
    "a mask with a gap": bmp_files.bmp(
        np.zeros((2, 2)), 16, header=52, compression=bmp_files.BITFIELDS, masks=(0xF0F0, 0xF00, 0xF)
    ),
    "a mask of bits that no pixel has": bmp_files.bmp(
        np.zeros((2, 2)), 16, header=52, compression=bmp_files.BITFIELDS, masks=BGR
    ),
}


@pytest.mark.parametrize("image", UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
def test_what_is_not_read_is_said_to_be_so(image):
    with pytest.raises(UnsupportedImage, match="not supported"):
        bmp.frame(image, MAX_PIXELS)


def test_more_pixels_than_allowed_are_refused_by_the_header():
    with pytest.raises(TooManyPixels):
        bmp.frame(WHOLE, MAX_PIXELS - 1)


def test_pillows_own_are_read_as_pillow_does():
    for mode in ("1", "L", "P", "RGB"):
        picture = PHOTO.convert(mode)

        np.testing.assert_array_equal(shown(odd.encoded(picture, "BMP")), np.asarray(picture.convert("RGB")))


def test_one_pixel_is_a_picture():
    assert shown(bmp_files.bmp(np.array([[0x102030]]), 24)).tolist() == [[[0x10, 0x20, 0x30]]]

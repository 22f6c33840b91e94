"""TIFF: what Pillow and OpenCV make of its many layouts, and which of them are refused."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from model.errors import DamagedImage, TooManyPixels, UnsupportedImage
from model.sandbox import tiff
from tests.pictures import odd
from tests.pictures import tiff_files as files

RANDOM = np.random.default_rng(0).integers(0, 256, (37, 51, 5), np.uint8)
GREY, RGB = RANDOM[..., :1], RANDOM[..., :3]
LAYOUTS = [{}, {"tile": (32, 16)}, {"rows_per_strip": 5}, {"compression": "lzma"}, {"big": True}]


def deep(pixels):
    """Of 16 bits, whose two bytes differ, and which are the same of 8 bits."""
    return pixels.astype(np.uint16) * 256 + pixels // 2


def shown(image):
    return np.asarray(tiff.frame(image, 10_000))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_grey_is_scaled_by_its_bits(bits, white_is_zero, layout):
    most = 2**bits - 1
    grey = deep(GREY) if bits == 16 else GREY >> (8 - bits)

    pixels = shown(files.tiff(most - grey if white_is_zero else grey, int(not white_is_zero), bits=bits, **layout))

    np.testing.assert_array_equal(pixels, np.rint(grey[..., 0] * (255 / most)))


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("layout", LAYOUTS[:4], ids=str)
def test_colours_of_16_bits_may_lie_in_planes_and_in_either_order(layout, order, planar):
    np.testing.assert_array_equal(shown(files.tiff(deep(RGB), files.RGB, order=order, planar=planar, **layout)), RGB)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("unit", [1 / 255, 1, 257, 16_843_009])
@pytest.mark.parametrize("colours", [GREY, RGB], ids=["grey", "rgb"])
def test_deep_samples_are_scaled_by_the_smallest_range_that_holds_them(colours, unit, order):
    samples = (colours * np.float64(unit)).astype(np.uint32 if unit > 1 else np.float32)
    image = files.tiff(samples, files.GREY if colours is GREY else files.RGB, order=order)

    np.testing.assert_array_equal(shown(image), colours.squeeze())


def test_what_is_not_a_number_is_black_and_infinity_is_the_greatest():
    samples = np.array([0.5, np.nan, np.inf, -np.inf], np.float32).reshape(1, 4, 1)

    assert shown(files.tiff(samples, files.GREY)).tolist() == [[128, 0, 255, 0]]


@pytest.mark.parametrize(("extra", "mode"), [([0], "RGB"), ([1], "RGBA"), ([2], "RGBA"), ([2, 0], "RGBA")], ids=str)
def test_an_extra_channel_is_transparency_only_if_the_file_says_so(extra, mode):
    picture = tiff.frame(files.tiff(RANDOM[..., : 3 + len(extra)], files.RGB, extra=extra), 10_000)

    assert picture.mode == mode


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_picture_is_not_turned_and_says_which_way_up_it_is(orientation):
    picture = tiff.frame(files.tiff(RGB, files.RGB, tags={274: files.Tag("H", [orientation])}), 10_000)

    assert picture.size == (51, 37)
    assert picture.getexif()[274] == orientation


@pytest.mark.parametrize(
    "image",
    [
        files.tiff(RANDOM, files.RGB, extra=[0, 2]),
        files.tiff(RGB.astype(np.float64), files.RGB),
        files.tiff(RGB.astype(np.float32), files.RGB, planar=True),
        files.tiff(RANDOM[..., :2], files.GREY, extra=[2], planar=True),
        files.tiff(RGB.astype(np.float32), files.RGB, tags={274: files.Tag("H", [6])}),
        files.tiff(GREY, files.GREY, tags={259: files.Tag("H", [6])}),
    ],
    ids=[
        "transparency not first",
        "64 bits",
        "planes of 32 bits",
        "planes of grey and transparency",
        "32 bits, not upright",
        "old JPEG",
    ],
)
def test_what_is_not_sure_to_be_right_is_not_supported(image):
    with pytest.raises(UnsupportedImage, match="not supported"):
        tiff.frame(image, 10_000)


@pytest.mark.parametrize("compression", ["none", "lzw", "deflate", "old deflate", "packbits", "lzma"])
def test_every_compression_gives_the_same_picture(compression):
    np.testing.assert_array_equal(shown(files.tiff(RGB, files.RGB, compression=compression)), RGB)


@pytest.mark.parametrize("compression", ["none", "packbits"])
def test_bits_may_stand_in_either_order(compression):
    """As fax machines and scanners have them."""
    image = files.tiff(RGB, files.RGB, compression=compression, fill_order=2)

    np.testing.assert_array_equal(shown(image), RGB)


@pytest.mark.parametrize(("samples", "predictor"), [(RGB, 2), (deep(RGB), 2), (GREY.astype(np.float32), 3)])
@pytest.mark.parametrize("compression", ["lzw", "deflate", "lzma"])
def test_differences_between_neighbours_are_added_up(samples, predictor, compression):
    """Most programs store photos so."""
    plain = files.tiff(samples, files.RGB if samples.shape[2] > 1 else files.GREY)
    image = files.tiff(
        samples, files.RGB if samples.shape[2] > 1 else files.GREY, compression=compression, predictor=predictor
    )

    np.testing.assert_array_equal(shown(image), shown(plain))


@pytest.mark.parametrize("samples", [RGB, RGB.astype(np.float32)], ids=["8 bits", "32 bits"])
@pytest.mark.parametrize("layout", LAYOUTS[:3], ids=str)
def test_a_strip_or_tile_that_ends_early_is_damage(samples, layout):
    """Else libtiff goes on with what follows, OpenCV with whatever is in memory."""
    tag = 325 if "tile" in layout else 279
    sizes = [100] * 12 if "tile" in layout else [100] * 8 if layout else [100]

    with pytest.raises(DamagedImage, match="ends too early"):
        tiff.frame(files.tiff(samples, files.RGB, tags={tag: files.Tag("I", sizes)}, **layout), 10_000)


def test_what_there_is_of_a_damaged_picture_is_shown_if_wanted(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    image = files.tiff(
        RGB, files.RGB, compression="lzma", rows_per_strip=5, tags={279: files.Tag("I", [9000] + [1] * 7)}
    )

    assert (shown(image)[5:] == 0).all()


def test_a_tile_far_larger_than_the_picture_is_too_large():
    image = files.tiff(RGB, files.RGB, tags={322: files.Tag("I", [1 << 14]), 323: files.Tag("I", [1 << 14])})

    with pytest.raises(TooManyPixels):
        tiff.frame(image, 10_000)


def test_lab_is_left_to_whoever_converts_it():
    lab = np.asarray(Image.fromarray(RGB).convert("LAB"))

    assert tiff.frame(files.tiff(lab, files.CIELAB), 10_000).mode == "LAB"


def with_part_zeroed(image, share):
    """A block in the first strip's middle that never reached the disk."""
    with TiffImageFile(BytesIO(image)) as picture:
        (start, *_), (size, *_) = picture.tag_v2[273], picture.tag_v2[279]
    middle, length = start + size // 2, int(size * share)
    return image[:middle] + bytes(length) + image[middle + length :]


def with_half_of_its_strip(image):
    """The directory says that the strip is half as long as it is."""
    with TiffImageFile(BytesIO(image)) as picture:
        (size, *_) = picture.tag_v2[279]
    return image.replace(struct.pack("<I", size), struct.pack("<I", size // 2))


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_a_fax_that_ends_early_is_refused(compression):
    with pytest.raises(DamagedImage):
        tiff.frame(
            with_half_of_its_strip(odd.encoded(odd.photo().convert("1"), "TIFF", compression=compression)), 10**6
        )


def test_data_that_make_rows_though_they_are_wrong_are_refused():
    """Deflate has a checksum, at which libtiff does not arrive."""
    image = odd.encoded(odd.photo(), "TIFF", compression="tiff_adobe_deflate", strip_size=2**20)
    with TiffImageFile(BytesIO(image)) as picture:
        (start, *_), (size, *_) = picture.tag_v2[273], picture.tag_v2[279]
    end = start + size

    assert tiff.frame(image, 10**6).size == (451, 300)
    with pytest.raises(DamagedImage):
        tiff.frame(image[: end - 4] + b"none" + image[end:], 10**6)


@pytest.mark.parametrize("compression", ["group3", "group4"])
def test_damage_in_a_fax_is_refused(compression):
    """Libtiff fills up with white, and tells nobody but standard error."""
    page = odd.photo().convert("1")
    image = odd.encoded(page, "TIFF", compression=compression)

    np.testing.assert_array_equal(np.asarray(tiff.frame(image, 1_000_000).convert("1")), np.asarray(page))
    with pytest.raises(DamagedImage):
        tiff.frame(with_part_zeroed(image, 0.2), 1_000_000)


@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr", "CMYK"])
def test_damage_in_a_jpeg_within_a_tiff_is_refused(mode):
    """Libjpeg fills up with grey there too."""
    image = odd.encoded(odd.photo().convert(mode), "TIFF", compression="jpeg")

    assert tiff.frame(image, 1_000_000).size == (451, 300)
    with pytest.raises(DamagedImage):
        tiff.frame(with_part_zeroed(image, 0.2), 1_000_000)

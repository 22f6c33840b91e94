from __future__ import annotations

import os
import struct
import sys
from itertools import product

import numpy as np
import pytest
from PIL import Image

from model.manifest import InputSpec, PreprocessSpec
from model.preprocess import preprocess
from tests.pictures import odd
from tests.support import forks

UINT8 = InputSpec(name="pixels", dtype="uint8", layout="NHWC", width=224, height=224)
FLOAT32 = InputSpec(name="data", dtype="float32", layout="NCHW", width=224, height=224)
CROP = PreprocessSpec(resize="crop", shorter_side=256, interpolation="linear", colour="rgb")
SQUASH = PreprocessSpec(resize="squash", interpolation="linear", colour="rgb")


def changed(spec, **fields: object):
    return type(spec).model_validate(spec.model_dump() | fields)


def png(width, height, colour):
    return odd.encoded(Image.new("RGB", (width, height), colour), "PNG")


@pytest.fixture
def prepared(decoder):
    """What ``preprocess`` makes of a picture."""
    return lambda image, spec, target: preprocess(image, decoder, spec, target).values


@pytest.mark.parametrize(("colour", "pixel"), [("rgb", [10, 20, 30]), ("bgr", [30, 20, 10])])
def test_a_uint8_input_holds_the_pixels_in_the_manifests_channel_order(prepared, colour, pixel):
    values = prepared(png(300, 300, (10, 20, 30)), changed(CROP, colour=colour), UINT8)

    assert values.dtype == np.uint8
    assert values.shape == (224, 224, 3)
    assert (values == pixel).all()


def test_a_float_input_is_scaled_and_normalised_channel_by_channel(prepared):
    spec = changed(CROP, scale=1 / 255, mean=(0.5, 0.25, 0.0), std=(0.5, 1.0, 2.0))

    values = prepared(png(300, 300, (255, 51, 0)), spec, FLOAT32)

    assert values.dtype == np.float32
    assert values.shape == (3, 224, 224)
    np.testing.assert_allclose(values[:, 100, 100], [1.0, -0.05, 0.0], atol=1e-6)


@pytest.mark.parametrize("size", [(1000, 300), (300, 1000), (256, 256), (50, 31), (5000, 257), (1, 1)])
@pytest.mark.parametrize("spec", [CROP, SQUASH])
@pytest.mark.parametrize("interpolation", ["area", "linear", "nearest_exact"])
def test_any_picture_fills_the_input(prepared, size, spec, interpolation):
    values = prepared(png(size[0], size[1], (10, 20, 30)), changed(spec, interpolation=interpolation), UINT8)

    assert values.shape == (224, 224, 3)
    assert (values == [10, 20, 30]).all()


def test_an_input_may_be_wider_than_high(prepared):
    target = InputSpec(name="pixels", dtype="uint8", layout="NCHW", width=64, height=32)

    assert prepared(odd.png(), changed(CROP, shorter_side=64), target).shape == (3, 32, 64)
    assert prepared(odd.png(), SQUASH, target).shape == (3, 32, 64)


def test_crop_keeps_the_middle_and_the_proportions(prepared):
    """A red square in the middle of a wide picture stays square, in the middle."""
    picture = Image.new("RGB", (1024, 512))
    picture.paste((255, 0, 0), (448, 192, 576, 320))

    red = prepared(odd.encoded(picture, "PNG"), CROP, UINT8)[..., 0] > 128
    rows, columns = np.nonzero(red)

    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (80, 143, 80, 143)


def test_squash_keeps_the_borders(prepared):
    picture = Image.new("RGB", (448, 672))
    picture.paste((255, 0, 0), (0, 0, 448, 3))

    values = prepared(odd.encoded(picture, "PNG"), changed(SQUASH, interpolation="area"), UINT8)

    assert values[0, :, 0].min() == 255
    assert values[1:].max() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads a process's peak memory from /proc")
@pytest.mark.parametrize(
    "make",
    [
        odd.thread_png,
        odd.huge_png,
        odd.huge_jpeg,
        odd.png_with_a_huge_chunk,
        odd.jpeg_with_endless_scans,
        odd.zero_by_zero_png,
        odd.truncated_jpeg,
        odd.text_as_jpeg,
    ],
)
def test_no_small_file_takes_much_memory(make, tmp_path):
    """In a process of its own, whose peak can be read: a worker that runs out of memory takes its batch along."""
    (tmp_path / "picture").write_bytes(make())
    run = forks.run("model.tests.peak_memory", str(tmp_path / "picture"), environment=os.environ, within_s=60)

    assert int(run.stdout) < 500_000  # kB


def test_nearest_exact_takes_the_pixels_that_pillow_takes(prepared):
    """The reference model's preprocessing is Pillow's; its answers are compared to four decimals."""
    for path, size in product((odd.CHELSEA, odd.COFFEE, odd.ROCKET), ((451, 300), (299, 500), (33, 500))):
        picture = odd.photo(path).resize(size)
        expected = np.asarray(picture.resize((224, 224), Image.Resampling.NEAREST))

        values = prepared(odd.encoded(picture, "PNG"), changed(SQUASH, interpolation="nearest_exact"), UINT8)

        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("interpolation", ["area", "linear"])
@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
@pytest.mark.parametrize("spec", [CROP, SQUASH])
def test_a_large_picture_is_averaged_not_sampled(prepared, interpolation, file_format, spec):
    """A fine chequered pattern is grey from afar; sampling every tenth pixel would give stripes."""
    chequers = (np.indices((2400, 3000)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image = odd.encoded(Image.fromarray(chequers), file_format, quality=95)

    values = prepared(image, changed(spec, interpolation=interpolation), UINT8)

    assert np.abs(values.astype(int) - 127).max() <= 2


def test_a_jpeg_decoded_smaller_looks_the_same(prepared):
    picture = odd.photo().resize((1804, 1200), Image.Resampling.BICUBIC)

    small = prepared(odd.encoded(picture, "JPEG", quality=95), CROP, UINT8)
    whole = prepared(odd.encoded(picture, "PNG"), CROP, UINT8)

    assert np.abs(small.astype(int) - whole).mean() < 2


@pytest.mark.parametrize("spec", [CROP, SQUASH])
def test_a_turned_photo_gives_the_same_input_as_the_upright_one(prepared, spec):
    turned = prepared(odd.exif_rotated_jpeg(), spec, UINT8)
    upright = prepared(odd.CHELSEA.read_bytes(), spec, UINT8)
    as_it_lies = prepared(odd.exif_rotated_jpeg(), changed(spec, exif_orientation=False), UINT8)

    assert np.abs(turned.astype(int) - upright).mean() < 3
    assert np.abs(as_it_lies.astype(int) - upright).mean() > 20


@pytest.mark.parametrize("screen", [(4, 4), (2000, 2), (1000, 1000)])
def test_a_picture_smaller_than_what_its_file_decodes_is_not_made_smaller_still(prepared, screen):
    """The limits go by the frame, which reaches over the screen's edge. Made smaller by it, nothing would be left."""
    image = bytearray(odd.encoded(Image.new("RGB", (2000, 2000), (200, 0, 0)), "GIF"))
    struct.pack_into("<HH", image, 6, *screen)

    values = prepared(bytes(image), CROP, UINT8)

    assert (values == [200, 0, 0]).all()

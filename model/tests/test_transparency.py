"""Transparency lies on white, in every format, and the colour that it hides is never seen."""

from __future__ import annotations

import io

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from model.sandbox.transparency import on_white
from model.tests.reading import read
from tests.pictures import boxed, gifs, odd
from tests.pictures.raw_png import COLOURS, COLOURS_ALPHA, GREY, GREY_ALPHA, PALETTE, key, raw_png

WHITE = [255, 255, 255]


def shown(image):
    """Red, green and blue of each pixel."""
    return read(image)[..., ::-1].tolist()


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("which", ["lowest", "in between", "highest"])
def test_the_key_colour_of_a_grey_png_is_white_at_every_depth(depth, which):
    """Scaled to eight bits, the key must be scaled too."""
    highest = (1 << depth) - 1
    transparent = {"lowest": 0, "in between": highest // 3, "highest": highest}[which]
    levels = sorted({0, highest // 3, highest // 2, highest})

    (row,) = shown(raw_png([levels], GREY, depth, key(transparent)))

    for level, colour in zip(levels, row, strict=True):
        expected = WHITE if level == transparent else [round(level * 255 / highest)] * 3
        assert colour == pytest.approx(expected, abs=1), level


def test_a_key_of_sixteen_bits_is_compared_in_all_of_them():
    """Two colours that look alike at eight bits."""
    grey = raw_png([[0x1234, 0x1235, 0x1334]], GREY, 16, key(0x1234))
    coloured = raw_png(
        [[[0x1234, 0, 0xFF00], [0x1235, 0, 0xFF00], [0x1234, 0, 0xFF01]]], COLOURS, 16, key(0x1234, 0, 0xFF00)
    )

    assert shown(grey) == [[WHITE, [18] * 3, [19] * 3]]
    assert shown(coloured) == [[WHITE, [18, 0, 255], [18, 0, 255]]]


def test_the_key_colour_of_a_coloured_png_is_white_where_all_its_channels_agree():
    pixels = [[[3, 2, 1], [3, 2, 2], [1, 2, 3]]]

    assert shown(raw_png(pixels, COLOURS, 8, key(3, 2, 1))) == [[WHITE, [3, 2, 2], [1, 2, 3]]]


@pytest.mark.parametrize("wrong", [b"", b"\0", b"\0\0\0"])
def test_a_key_of_a_wrong_length_is_none(wrong):
    """As libpng has it, and so browsers."""
    assert shown(raw_png([[0, 128]], GREY, 8, odd.chunk(b"tRNS", wrong))) == [[[0] * 3, [128] * 3]]


def test_a_key_whose_checksum_is_wrong_is_none():
    broken = key(0)[:-4] + b"none"

    assert shown(raw_png([[0, 128]], GREY, 8, broken)) == [[[0] * 3, [128] * 3]]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_may_have_an_alpha_for_each_colour(depth):
    palette = odd.chunk(b"PLTE", bytes([255, 0, 100, 30, 144, 255]))
    alphas = odd.chunk(b"tRNS", bytes([128, 0]))

    (row,) = shown(raw_png([[0, 1]], PALETTE, depth, palette, alphas))

    assert row[0] == pytest.approx([255, 127, 177], abs=1)
    assert row[1] == WHITE


def test_colours_of_a_palette_without_an_alpha_of_their_own_are_opaque():
    palette = odd.chunk(b"PLTE", bytes([1, 2, 3, 4, 5, 6]))

    assert shown(raw_png([[0, 1]], PALETTE, 8, palette, odd.chunk(b"tRNS", b"\0"))) == [[WHITE, [4, 5, 6]]]


@pytest.mark.parametrize("depth", [8, 16])
def test_alpha_channels_of_a_png_are_blended_with_white(depth):
    scale = ((1 << depth) - 1) // 255
    grey = np.array([[[0, 0], [100, 128], [100, 255]]]) * scale
    coloured = np.array([[[30, 144, 255, 0], [255, 0, 100, 128], [1, 2, 3, 255]]]) * scale

    assert shown(raw_png(grey, GREY_ALPHA, depth)) == [[WHITE, [177] * 3, [100] * 3]]
    assert shown(raw_png(coloured, COLOURS_ALPHA, depth)) == [[WHITE, [255, 127, 177], [1, 2, 3]]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGBa"])
def test_every_blend_is_rounded_to_the_nearest(mode):
    """All colours with all alphas."""
    colour, alpha = (channel.astype(np.uint8) for channel in np.meshgrid(np.arange(256), np.arange(256)))
    if mode == "RGBa":
        colour = (colour * (alpha / 255)).round().astype(np.uint8)
    layer = Image.merge("LA", [Image.fromarray(colour), Image.fromarray(alpha)])
    if mode in {"RGBA", "RGBa"}:
        layer = Image.merge("RGBA", [Image.fromarray(channel) for channel in (colour, colour, colour, alpha)])
    premultiplied = mode == "RGBa"
    if premultiplied:
        layer = Image.frombytes("RGBa", layer.size, layer.tobytes())

    pixels = on_white(layer)

    opacity = alpha / 255
    exact = colour + 255 * (1 - opacity) if premultiplied else colour * opacity + 255 * (1 - opacity)
    tolerance = 1.01 if premultiplied else 0.51
    np.testing.assert_allclose(pixels, np.dstack([exact] * 3), atol=tolerance)


def test_a_picture_of_several_strips_is_laid_on_white_whole():
    """It is laid a few rows at a time, so that a large one is not there twice."""
    side = 1_500
    picture = Image.effect_noise((side, side), 90).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize((side, side)))
    page = Image.new("RGB", picture.size, "white")
    page.paste(picture, mask=picture.getchannel("A"))

    np.testing.assert_array_equal(on_white(picture)[..., ::-1], np.asarray(page))


HALF = (255, 0, 100, 128)
FORMATS = {
    "PNG": lambda picture: odd.encoded(picture, "PNG"),
    "WebP": lambda picture: odd.encoded(picture, "WEBP", lossless=True, exact=True),
    "lossy WebP": lambda picture: odd.encoded(picture, "WEBP", quality=95),
    "TIFF": lambda picture: odd.encoded(picture, "TIFF"),
    "AVIF": lambda picture: odd.encoded(picture, "AVIF", quality=95, subsampling="4:4:4"),
    "HEIC": lambda picture: odd.heic_of(picture, quality=95, chroma=444),
}


@pytest.mark.parametrize("encode", FORMATS.values(), ids=FORMATS)
def test_half_transparent_pixels_are_blended_with_white_in_every_format(encode):
    pixels = shown(encode(Image.new("RGBA", (64, 64), HALF)))

    assert pixels[32][32] == pytest.approx([255, 127, 177], abs=3)


@pytest.mark.parametrize("encode", FORMATS.values(), ids=FORMATS)
def test_a_colour_that_is_hidden_does_not_shine_through(encode):
    assert shown(encode(Image.new("RGBA", (64, 64), (30, 144, 255, 0))))[32][32] == pytest.approx(WHITE, abs=1)


def test_premultiplied_alpha_of_an_avif_and_a_heic_is_not_multiplied_again():
    half = Image.new("L", (64, 64), 128)
    multiplied = Image.new("RGB", (64, 64), (128, 0, 50))
    image = boxed.assembled(*boxed.avif(multiplied), alpha=boxed.avif(half, subsampling="4:0:0"), premultiplied=True)
    layered = multiplied.copy()
    layered.putalpha(half)
    heic = pillow_heif.from_pillow(layered)
    heic.premultiplied_alpha = True
    file = io.BytesIO()
    heic.save(file, quality=95, chroma=444)

    assert shown(image)[32][32] == pytest.approx([255, 127, 177], abs=3)
    assert shown(file.getvalue())[32][32] == pytest.approx([255, 127, 177], abs=3)


@pytest.mark.parametrize("background", [0, 1, 3, 200])
@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_a_gif_is_white_where_its_first_frame_is_transparent_whatever_follows(background, disposal):
    first = gifs.control(gifs.GREEN, disposal=disposal) + gifs.frame([[gifs.RED, gifs.GREEN]])
    second = gifs.control(gifs.YELLOW, disposal=disposal) + gifs.frame([[gifs.BLUE, gifs.BLUE]])
    image = gifs.gif(2, 1, first, second, gifs.TRAILER, background=background)

    assert shown(image) == [[[255, 0, 0], WHITE]]


def test_a_gif_whose_second_frame_alone_has_a_transparent_colour_hides_nothing_of_the_first():
    first, second = gifs.frame([[gifs.RED, gifs.GREEN]]), gifs.control(gifs.GREEN) + gifs.frame([[gifs.BLUE] * 2])

    assert shown(gifs.gif(2, 1, first, second, gifs.TRAILER)) == [[[255, 0, 0], [0, 255, 0]]]

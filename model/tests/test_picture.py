"""What the sandbox makes of PNG, GIF, WebP, AVIF and HEIC: the picture that a person sees, or why not."""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageCms

from model.errors import DamagedImage, TooManyPixels, UnsupportedImage
from model.png import MAX_PROFILE_BYTES, Png
from model.sandbox import png as sandbox_png
from model.tests.reading import read
from tests.pictures import boxed, gifs, odd, oriented
from tests.pictures.raw_png import COLOURS, GREY, PALETTE, raw_png

RED, GREEN, BLUE, YELLOW, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [255, 255, 255]


def shown(image, *, strict=True):
    """Red, green and blue of each pixel."""
    return read(image, strict=strict)[..., ::-1].tolist()


def difference(pixels, picture):
    return np.abs(pixels[..., ::-1].astype(int) - np.asarray(picture.convert("RGB")).astype(int)).mean()


def middle_zeroed(image):
    start, end = len(image) // 3, 2 * len(image) // 3
    return image[:start] + bytes(end - start) + image[end:]


# PNG


def test_sixteen_bit_grey_is_scaled_not_cut_off():
    assert shown(raw_png([[0, 257, 32896, 65535]], GREY, 16)) == [[[level] * 3 for level in (0, 1, 128, 255)]]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_grey_of_few_bits_reaches_from_black_to_white(depth):
    highest = (1 << depth) - 1

    assert shown(raw_png([[0, highest]], GREY, depth)) == [[[0] * 3, WHITE]]


def png_with(chunk, *, after_pixels=False):
    whole = odd.png()
    position = -12 if after_pixels else 33
    return whole[:position] + chunk + whole[position:]


def profile_chunk(profile):
    return odd.chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))


def test_a_pngs_profile_reaches_the_conversion_of_colours():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    picture = sandbox_png.frame(Png.read(png_with(profile_chunk(profile)), strict=True), 1_000_000)

    assert picture.info["icc_profile"] == profile


BAD_PROFILES = {
    "too large": profile_chunk(bytes(MAX_PROFILE_BYTES + 1)),
    "cut short": odd.chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(range(256)))[:-9]),
    "not compressed": odd.chunk(b"iCCP", b"p\0\0" + b"a profile"),
    "of an unknown method": odd.chunk(b"iCCP", b"p\0\1" + zlib.compress(b"a profile")),
    "without a name's end": odd.chunk(b"iCCP", b"profile"),
    "with a wrong checksum": profile_chunk(b"a profile")[:-4] + b"none",
    "behind the pixels": None,
}


@pytest.mark.parametrize("chunk", BAD_PROFILES.values(), ids=BAD_PROFILES)
def test_a_profile_that_is_of_no_use_does_not_keep_a_png_from_being_shown(chunk):
    """Pillow refuses the picture for most of them, as for a text that is too long."""
    image = png_with(profile_chunk(b"a profile"), after_pixels=True) if chunk is None else png_with(chunk)

    assert "icc_profile" not in sandbox_png.frame(Png.read(image, strict=True), 1_000_000).info
    assert difference(read(image), odd.photo()) == 0


def test_texts_of_a_png_are_never_inflated():
    assert difference(read(odd.png_with_inflating_texts()), odd.photo()) == 0


def test_a_png_with_a_wrong_byte_in_its_pixels_is_refused():
    whole = bytearray(odd.png())
    whole[len(whole) // 2] ^= 1

    with pytest.raises(DamagedImage):
        read(bytes(whole))


def test_an_unknown_kind_of_png_is_refused():
    with pytest.raises(DamagedImage):
        read(raw_png([[[1, 2, 3]]], COLOURS, 4))


# GIF

CORNERS = [[gifs.RED, gifs.GREEN], [gifs.BLUE, gifs.YELLOW]]


def test_a_gif_shows_its_first_frame():
    image = gifs.gif(2, 2, gifs.frame(CORNERS), gifs.frame([[gifs.RED] * 2] * 2), gifs.TRAILER)

    assert shown(image) == [[RED, GREEN], [BLUE, YELLOW]]


@pytest.mark.parametrize("background", range(4))
def test_what_a_gifs_first_frame_leaves_of_the_screen_is_white_whatever_its_background(background):
    """Browsers ignore the background colour; Pillow shows it, or another one."""
    image = gifs.gif(4, 3, gifs.frame(CORNERS, left=1, top=1), gifs.TRAILER, background=background)

    assert shown(image) == [[WHITE] * 4, [WHITE, RED, GREEN, WHITE], [WHITE, BLUE, YELLOW, WHITE]]


@pytest.mark.parametrize(
    ("left", "top", "expected"),
    [
        (0, 0, [[RED]]),
        (1, 0, [[WHITE, RED]]),
        (0, 1, [[WHITE], [RED]]),
        (5, 0, [[WHITE, WHITE]]),
    ],
)
def test_a_gifs_frame_is_cut_off_at_the_screens_edge(left, top, expected):
    height, width = len(expected), len(expected[0])

    assert shown(gifs.gif(width, height, gifs.frame(CORNERS, left, top), gifs.TRAILER)) == expected


@pytest.mark.parametrize("screen", [(0, 0), (0, 2), (2, 0)])
def test_a_gif_whose_screen_has_no_size_is_as_large_as_its_first_frame(screen):
    """As both browsers show it."""
    assert shown(gifs.gif(*screen, gifs.frame(CORNERS), gifs.TRAILER)) == [[RED, GREEN], [BLUE, YELLOW]]


HARMLESS = {
    "no trailer": gifs.gif(2, 2, gifs.frame(CORNERS)),
    "no end of its data": gifs.gif(2, 2, gifs.frame(CORNERS))[:-1],
    "a background behind the table's end": gifs.gif(2, 2, gifs.frame(CORNERS), gifs.TRAILER, background=255),
    "a byte between its blocks": gifs.gif(2, 2, b"\0", gifs.frame(CORNERS), b"\0", gifs.TRAILER),
    "a comment": gifs.gif(2, 2, b"!\xfe\x02hi\0", gifs.frame(CORNERS), gifs.TRAILER),
    "a second frame without data": gifs.gif(2, 2, gifs.frame(CORNERS), gifs.framed(2, 2, b"\x08")),
    "a second frame that is damaged": gifs.gif(2, 2, gifs.frame(CORNERS), gifs.framed(2, 2, b"\x08\x04wxyz\0")),
    "a huge second frame": gifs.gif(2, 2, gifs.frame(CORNERS), gifs.framed(60_000, 60_000, b"\x08\0")),
    "something else after its first frame": gifs.gif(2, 2, gifs.frame(CORNERS)) + b"something else",
    "more data than pixels": gifs.gif(2, 2, gifs.framed(2, 2, gifs.coded([0, 1, 2, 3] * 9)), gifs.TRAILER),
}


@pytest.mark.parametrize("image", HARMLESS.values(), ids=HARMLESS)
def test_what_harms_no_gifs_first_frame_is_no_reason_to_refuse_it(image):
    assert shown(image) == [[RED, GREEN], [BLUE, YELLOW]]


DAMAGED_GIFS = {
    "no frame": gifs.gif(2, 2, gifs.TRAILER),
    "nothing after its colours": gifs.gif(2, 2),
    "only its screen": gifs.gif(2, 2)[:13],
    "cut within a comment": gifs.gif(2, 2, b"!\xfe\xff"),
    "no data": gifs.gif(2, 2, gifs.framed(2, 2, b"\x08\0"), gifs.TRAILER),
    "fewer data than pixels": gifs.gif(2, 2, gifs.framed(2, 2, gifs.coded([0, 1])), gifs.TRAILER),
    "cut within its data": gifs.gif(2, 2, gifs.frame(CORNERS))[:-4],
    "a frame of no size": gifs.gif(2, 2, gifs.framed(0, 0, gifs.coded([])), gifs.frame(CORNERS)),
}


@pytest.mark.parametrize("image", DAMAGED_GIFS.values(), ids=DAMAGED_GIFS)
def test_a_gif_without_all_of_its_first_frame_is_refused(image):
    with pytest.raises(DamagedImage, match="the picture is damaged"):
        read(image)


def test_a_gifs_frame_counts_with_all_its_pixels_even_if_the_screen_is_small():
    """The decoder needs memory for all of them."""
    with pytest.raises(TooManyPixels):
        read(gifs.gif(2, 2, gifs.framed(60_000, 60_000, gifs.coded([0])), gifs.TRAILER))


# WebP


@pytest.mark.parametrize("colour", [(0, 0, 0), (10, 200, 30)])
def test_a_webp_of_a_few_bytes_is_shown(colour):
    image = odd.encoded(Image.new("RGB", (4, 4), colour), "WEBP", lossless=True)

    assert len(image) < 40
    assert shown(image) == [[list(colour)] * 4] * 4


def test_an_animated_webp_shows_its_first_frame():
    assert difference(read(odd.animated_webp()), odd.photo()) < 4


def test_an_animated_webp_without_all_of_its_first_frame_is_refused():
    image = odd.animated_webp()

    with pytest.raises(DamagedImage):
        read(image[: len(image) // 2])


def test_what_a_webps_first_frame_leaves_of_its_canvas_is_white():
    """Pillow writes whole frames; here the canvas was enlarged afterwards."""
    image = bytearray(odd.animated_webp())
    image[24:30] = (500).to_bytes(3, "little") + (400).to_bytes(3, "little")

    pixels = read(bytes(image))

    assert pixels.shape == (401, 501, 3)
    assert difference(pixels[:300, :451], odd.photo()) < 4
    assert (pixels[300:] == 255).all()
    assert (pixels[:, 451:] == 255).all()


@pytest.mark.parametrize("missing", [1, 2, 40, 1_000])
@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_that_is_cut_short_is_refused(lossless, missing):
    image = odd.encoded(odd.photo(), "WEBP", lossless=lossless)

    with pytest.raises(DamagedImage):
        read(image[:-missing])


# AVIF


@pytest.mark.parametrize("colour_range", ["limited", "full"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_an_avif_is_shown_in_all_its_levels_whatever_its_range(mode, colour_range):
    """Of grey, OpenCV takes the limited range for the full one."""
    picture = odd.photo().convert(mode)

    assert difference(read(odd.encoded(picture, "AVIF", quality=95, range=colour_range)), picture) < 1.5


@pytest.mark.parametrize("metadata", [{"exif": oriented.exif(1)}, {"xmp": oriented.xmp(1)}])
def test_an_avif_whose_metadata_lie_behind_its_pixels_is_shown(metadata):
    """As cameras and many programs write it."""
    image = boxed.assembled(*boxed.avif(odd.photo()), **metadata)

    assert image.index(next(iter(metadata.values()))) > 500
    assert difference(read(image), odd.photo()) < 4


@cache
def sequence():
    black = Image.new("RGB", odd.photo().size)
    return odd.encoded(odd.photo(), "AVIF", save_all=True, append_images=[black], duration=100, quality=90)


def test_a_sequence_of_avifs_shows_its_first_frame():
    assert difference(read(sequence()), odd.photo()) < 4


def test_a_sequence_of_avifs_needs_no_primary_item():
    assert difference(read(sequence().replace(b"pitm", b"skip")), odd.photo()) < 4


def test_a_sequence_of_avifs_needs_no_items_at_all():
    """Only its film, and a brand that promises no more."""
    whole = sequence()
    items = whole.index(b"meta")
    brands = whole[16:items].replace(b"avif", b"skip")

    assert difference(read(whole[:16] + brands + b"free" + whole[items + 4 :]), odd.photo()) < 4


@pytest.mark.parametrize("position", [0.3, 0.5, 0.7, 0.9])
def test_an_avif_with_a_wrong_byte_is_refused(position):
    """Pillow's decoder shows whatever the bytes happen to mean."""
    image = bytearray(odd.avif())
    image[int(len(image) * position)] ^= 0x55

    with pytest.raises(DamagedImage):
        read(bytes(image))


def test_a_damaged_avif_is_shown_as_pillow_shows_it_if_that_is_wanted():
    image = bytearray(odd.avif())
    image[int(len(image) * 0.7)] ^= 0x55

    assert read(bytes(image), strict=False).shape == (300, 451, 3)


def test_an_avif_whose_alpha_plane_has_a_wrong_byte_is_refused():
    alpha = boxed.avif(Image.effect_noise(odd.photo().size, 50), subsampling="4:0:0")
    image = bytearray(boxed.assembled(*boxed.avif(odd.photo()), alpha=alpha))
    whole = bytes(image)
    image[-len(alpha[1]) // 2] ^= 0x55

    assert read(whole).shape == (300, 451, 3)
    with pytest.raises(DamagedImage):
        read(bytes(image))


# HEIC


def test_a_heic_of_ten_bits_of_grey_is_scaled():
    grey = odd.photo().convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)

    assert difference(read(odd.heic_of(deep, quality=95)), grey) < 1


def test_a_heic_is_shown_as_far_as_it_is_there_if_that_is_wanted():
    image = odd.heic()
    half = image[: len(image) // 2]

    with pytest.raises(DamagedImage, match="cut short"):
        read(half)
    assert read(half, strict=False).shape == (300, 451, 3)


# All of them


@pytest.mark.parametrize("make", [odd.png, odd.gif, odd.avif], ids=lambda make: make.__name__)
def test_a_picture_with_zeros_in_its_middle_is_refused(make):
    with pytest.raises(DamagedImage):
        read(middle_zeroed(make()))


def gif_from_top_to_bottom():
    return odd.encoded(odd.photo(), "GIF", interlace=False)


@pytest.mark.parametrize("make", [odd.png, gif_from_top_to_bottom, odd.cmyk_jpeg], ids=lambda make: make.__name__)
def test_what_is_there_of_a_picture_is_shown_if_that_is_wanted(make):
    image = make()
    half = image[: len(image) // 2]

    with pytest.raises(DamagedImage):
        read(half)
    pixels = read(half, strict=False)
    top = np.asarray(odd.photo())[:60, :, ::-1].astype(int)
    assert np.abs(pixels[:60] - top).mean() < 20
    assert np.abs(pixels[-60:].astype(int) - np.asarray(odd.photo())[-60:, :, ::-1]).mean() > 40


MAKERS = [odd.png, odd.gif, odd.webp, odd.avif, odd.heic, odd.cmyk_jpeg]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_the_limit_of_pixels_holds_for_every_format(make):
    """The picture has 135,300."""
    image = make()

    assert read(image, max_pixels=135_300).shape == (300, 451, 3)
    with pytest.raises(TooManyPixels, match="the picture is too large: it has more than 135299 pixels"):
        read(image, max_pixels=135_299)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_pixels_are_ready_for_opencv(make):
    pixels = read(make())

    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


def test_more_chunks_than_are_read_are_not_supported():
    with pytest.raises(UnsupportedImage, match="not supported"):
        read(odd.png_with_endless_data_chunks())


def test_a_pngs_palette_may_be_shorter_than_its_transparency():
    """Some encoders write one entry for each of 256; libpng takes none of them then."""
    image = raw_png([[0, 1]], PALETTE, 8, odd.chunk(b"PLTE", bytes([*RED, *BLUE])), odd.chunk(b"tRNS", bytes(256)))

    assert shown(image) == [[RED, BLUE]]

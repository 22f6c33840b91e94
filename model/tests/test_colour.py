"""Colour profiles: what the numbers of a picture's pixels mean."""

from __future__ import annotations

import random
import struct
import zlib
from io import BytesIO

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from model.png import MAX_PROFILE_BYTES
from model.sandbox.colour import changes_colours, to_srgb
from model.sandbox.matrix_profile import DISPLAY_P3, SRGB
from tests.pictures import odd, profiles


def difference(some, others):
    """The mean difference, of 255, between two pictures."""
    return np.abs(np.asarray(some, np.int16) - np.asarray(others, np.int16)).mean()


def carrying(picture, profile):
    picture.info["icc_profile"] = profile
    return picture


def converted(picture, profile):
    """To the colours of ``profile``, which it carries: a viewer shows the same as before."""
    source, target = ImageCms.createProfile("sRGB"), ImageCms.getOpenProfile(BytesIO(profile))
    return carrying(ImageCms.profileToProfile(picture, source, target), profile)


@pytest.mark.parametrize(
    "make", [profiles.display_p3, profiles.adobe_rgb, profiles.prophoto_rgb], ids=lambda make: make.__name__
)
def test_a_photo_in_other_colours_looks_the_same(make):
    """As phones and cameras store them: read as sRGB, the photo is pale or dark."""
    photo = converted(odd.photo(), make())
    stored = difference(photo, odd.photo())

    assert stored > 3
    assert difference(to_srgb(photo), odd.photo()) < 0.7


def test_the_numbers_of_a_p3_colour_are_those_of_css():
    """CSS Color 4, 10.4: ``color(display-p3 0.784 0.392 0.196)`` is rgb(215 93 31), as Chromium says too."""
    orange = carrying(Image.new("RGB", (1, 1), (200, 100, 50)), profiles.display_p3())

    assert to_srgb(orange).getpixel((0, 0)) == pytest.approx((215, 93, 31), abs=1)


def test_a_profile_that_is_a_table_is_applied():
    """Scanners and presses are described by L*a*b* colours on a grid, not by three primaries."""
    red, green, blue = odd.photo().split()
    photo = carrying(Image.merge("RGB", (blue, green, red)), profiles.swapped_channels())

    assert difference(to_srgb(photo), odd.photo()) < 1


def test_inks_are_shown_as_their_press_prints_them():
    """Full cyan and yellow make a green that is neither pure nor bright; without a profile it would be (0, 255, 0)."""
    green = carrying(Image.new("CMYK", (2, 2), (255, 0, 255, 0)), profiles.inks())

    assert to_srgb(green).mode == "RGB"
    assert to_srgb(green).getpixel((0, 0)) == pytest.approx((25, 204, 51), abs=4)


def test_black_ink_stays_as_grey_as_it_is_on_paper():
    """Browsers do not make the darkest of a press black; print previews do, which lcms takes for granted."""
    black = carrying(Image.new("CMYK", (2, 2), (0, 0, 0, 255)), profiles.inks())

    assert to_srgb(black).convert("RGB").getpixel((0, 0)) == pytest.approx((25, 25, 25), abs=3)


def test_greys_get_brighter_by_their_curve():
    """Of linear light, 128 is as bright as 188 of sRGB."""
    grey = to_srgb(carrying(Image.new("L", (2, 2), 128), profiles.grey(1.0)))

    assert (grey.mode, grey.getpixel((0, 0))) == ("L", 188)


def test_a_grey_picture_may_have_a_profile_of_colours():
    """As editors save it that make a colour photo grey; browsers apply it."""
    assert to_srgb(carrying(Image.new("L", (2, 2), 128), profiles.prophoto_rgb())).getpixel((0, 0)) == 146


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_kept(mode):
    picture = odd.photo().convert(mode)
    picture.putalpha(odd.photo(odd.ROCKET).resize(picture.size).convert("L"))
    profile = profiles.display_p3() if mode == "RGBA" else profiles.grey(1.0)
    opaque = to_srgb(carrying(odd.photo().convert(mode[:-1]), profile))
    shown = to_srgb(carrying(picture.copy(), profile))

    assert shown.mode == mode
    assert difference(shown.getchannel("A"), picture.getchannel("A")) == 0
    assert difference(shown.convert(mode[:-1]), opaque) == 0


@pytest.mark.parametrize(("mode", "key"), [("L", 128), ("RGB", (200, 100, 50))])
def test_the_one_transparent_colour_of_a_png_stays_transparent(mode, key):
    """It is given as it is stored; the colours that it becomes, others may become as well."""
    picture = Image.new(mode, (2, 1), key)
    picture.putpixel((1, 0), 126 if mode == "L" else (198, 100, 50))
    profile = profiles.grey() if mode == "L" else profiles.prophoto_rgb()
    file = odd.opened(odd.encoded(picture, "PNG", icc_profile=profile, transparency=key))
    file.load()

    assert np.asarray(to_srgb(file).convert("RGBA"))[..., 3].tolist() == [[0, 255]]


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(256))], ids=["none", "one entry", "each entry"])
def test_a_palette_is_converted_and_its_transparency_kept(transparency):
    picture = odd.photo().convert("P", palette=Image.Palette.ADAPTIVE)
    options = {} if transparency is None else {"transparency": transparency}
    file = odd.opened(odd.encoded(picture, "PNG", icc_profile=profiles.display_p3(), **options))
    file.load()
    expected = to_srgb(carrying(picture.convert("RGB"), profiles.display_p3()))
    before = np.asarray(file.convert("RGBA"))[..., 3]
    shown = to_srgb(file).convert("RGBA")

    assert difference(shown.convert("RGB"), expected) == 0
    assert difference(shown.getchannel("A"), before) == 0


def test_a_palette_of_rgba_colours_is_converted():
    picture = Image.new("P", (1, 1))
    picture.putpalette([200, 100, 50, 77], "RGBA")
    shown = to_srgb(carrying(picture, profiles.display_p3()))

    assert shown.convert("RGBA").getpixel((0, 0)) == pytest.approx((215, 93, 31, 77), abs=1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16"])
def test_a_picture_without_a_profile_stays_as_it_is(mode):
    picture = Image.new(mode, (2, 2))

    assert to_srgb(picture) is picture
    assert to_srgb(carrying(picture, None)) is picture


@pytest.mark.parametrize(
    ("mode", "make"),
    [
        ("RGB", profiles.grey), ("RGB", profiles.inks), ("RGBA", profiles.grey), ("P", profiles.inks),
        ("L", profiles.inks), ("CMYK", profiles.display_p3), ("CMYK", profiles.grey), ("1", profiles.grey),
    ],
)  # fmt: skip
def test_a_profile_of_another_kind_of_picture_is_ignored(mode, make):
    """As browsers do, and as editors leave it behind that convert a picture and forget the profile."""
    picture = odd.photo().convert(mode)
    before = picture.copy()

    assert difference(to_srgb(carrying(picture, make())), before) == 0


def test_a_profile_that_nobody_would_see_is_left_alone():
    """Most profiles are some maker's sRGB, and applying one costs as much as decoding the picture."""
    picture = odd.photo()
    picture.info["icc_profile"] = profiles.srgb()

    assert not changes_colours(profiles.srgb(), "RGB")
    assert difference(to_srgb(picture), odd.photo()) == 0


@pytest.mark.parametrize(
    ("make", "mode", "seen"),
    [
        (profiles.display_p3, "RGB", True),
        (profiles.display_p3, "L", False),  # its greys are those of sRGB
        (profiles.adobe_rgb, "RGB", True),
        (profiles.grey, "L", True),
        (profiles.grey, "RGB", False),
        (lambda: profiles.grey(2.2), "L", False),
        (profiles.inks, "CMYK", True),
        (profiles.inks, "RGB", False),
    ],
)
def test_whether_a_profile_is_seen_depends_on_the_picture(make, mode, seen):
    assert changes_colours(make(), mode) is seen


def png_with(chunks, mode="RGB", colour=(200, 100, 50)):
    """Of one colour, with chunks before its data."""
    whole = odd.encoded(Image.new(mode, (1, 1), colour), "PNG")
    return odd.opened(whole[:33] + b"".join(odd.chunk(kind, body) for kind, body in chunks) + whole[33:])


def gama(power):
    return b"gAMA", struct.pack(">I", round(power * 100_000))


def chrm(chromaticities):
    return b"cHRM", struct.pack(">8I", *(round(number * 100_000) for number in chromaticities))


@pytest.mark.parametrize(
    ("chunks", "shown"),
    [
        ([gama(1.0)], (229, 168, 122)),
        ([gama(0.55)], (210, 118, 64)),
        ([gama(0.45455)], (200, 100, 50)),
        ([gama(0.45455), chrm(SRGB)], (201, 100, 46)),
        ([gama(0.45455), chrm(DISPLAY_P3)], (216, 93, 24)),
        ([chrm(DISPLAY_P3)], (200, 100, 50)),
        ([(b"sRGB", b"\0"), gama(1.0)], (200, 100, 50)),
        ([(b"iCCP", b"p\0\0" + zlib.compress(profiles.swapped_channels())), gama(1.0)], (50, 100, 200)),
        ([gama(0)], (200, 100, 50)),
        ([gama(0.00001)], (200, 100, 50)),
        ([gama(1.0), chrm([0] * 8)], (200, 100, 50)),
        ([gama(1.0), chrm([0.3] * 8)], (200, 100, 50)),
    ],
)
def test_a_png_may_state_its_colours_by_numbers(chunks, shown):
    """As old Macs and renderers of light write it. Chromium shows these colours, but for nonsense, which we ignore."""
    picture = png_with(chunks)
    picture.load()

    assert to_srgb(picture).getpixel((0, 0)) == pytest.approx(shown, abs=4)


def test_a_grey_png_may_state_its_curve_by_a_number():
    picture = png_with([gama(1.0)], mode="L", colour=128)
    picture.load()

    assert to_srgb(picture).getpixel((0, 0)) == 188


@pytest.mark.parametrize(
    ("primaries", "transfer", "shown"),
    [
        (12, 13, (215, 93, 31)),
        (12, 1, (215, 93, 31)),
        (9, 14, (241, 76, 29)),
        (1, 13, (200, 100, 50)),
        (2, 2, (200, 100, 50)),
        (9, 16, (200, 100, 50)),
    ],
    ids=["Display P3", "Display P3, video", "BT.2020", "sRGB", "not said", "HDR"],
)
def test_colours_may_be_stated_by_code_points(primaries, transfer, shown):
    """As Android's cameras do; HDR is left as it is, for what a person sees of it depends on the screen."""
    picture = Image.new("RGB", (1, 1), (200, 100, 50))
    picture.info["nclx_profile"] = {"color_primaries": primaries, "transfer_characteristics": transfer}

    assert to_srgb(picture).getpixel((0, 0)) == pytest.approx(shown, abs=1)


def test_a_heic_states_its_colours_by_code_points():
    image = odd.heic_of(odd.photo(), quality=95)
    where = image.index(b"nclx") + 4
    of_p3 = pillow_heif.HeifImageFile(BytesIO(image[:where] + struct.pack(">H", 12) + image[where + 2 :]))
    of_p3.load()
    expected = to_srgb(carrying(odd.photo(), profiles.display_p3()))

    assert difference(to_srgb(of_p3), expected) < 2


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("PNG", {}),
        ("TIFF", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 90, "subsampling": "4:4:4"}),
        ("JPEG", {"quality": 95, "subsampling": 0}),
    ],
)
def test_every_format_that_carries_a_profile_is_read_in_its_colours(decoder, file_format, options):
    photo = converted(odd.photo(), profiles.prophoto_rgb())
    image = odd.encoded(photo, file_format, icc_profile=profiles.prophoto_rgb(), **options)
    pixels = decoder.decode(image, exif_orientation=True, reduction=lambda _: 1).pixels

    assert difference(pixels[..., ::-1], odd.photo()) < 3


def test_a_heic_is_read_in_the_colours_of_its_profile(decoder):
    """Every iPhone's photo is in Display P3."""
    image = odd.heic_of(converted(odd.photo(), profiles.prophoto_rgb()), quality=95)
    pixels = decoder.decode(image, exif_orientation=True, reduction=lambda _: 1).pixels

    assert difference(pixels[..., ::-1], odd.photo()) < 3


def _too_long() -> bytes:
    return profiles.swapped_channels().ljust(MAX_PROFILE_BYTES + 1, b"\0")


def _of_floats(elements: int = 300_000) -> bytes:
    """A chain of that many matrices, all of which are the same bytes: minutes of work, if it is done."""
    matrix = b"matf\0\0\0\0" + struct.pack(">2H", 3, 3) + np.eye(3, dtype=">f4").tobytes() + bytes(12)
    position = struct.pack(">2I", 16 + 8 * elements, len(matrix))
    chain = b"mpet\0\0\0\0" + struct.pack(">2HI", 3, 3, elements) + position * elements + matrix
    return profiles.with_tag(profiles.swapped_channels(), b"D2B0", chain)


@pytest.mark.parametrize(
    "profile",
    [
        b"x",
        b"\0" * 131,
        b"\xff" * 4000,
        profiles.display_p3()[:131],
        profiles.display_p3()[:300],
        profiles.display_p3().replace(b"rXYZ", b"none"),
        profiles.swapped_channels()[:-2000],
        profiles.swapped_channels().replace(b"mft2\0\0\0\0\3\3", b"mft2\0\0\0\0\x0f\x0f"),
        profiles.swapped_channels().replace(b"mft2\0\0\0\0\3\3\x09", b"mft2\0\0\0\0\3\3\xff"),
        _too_long(),
    ],
    ids=[
        "a byte", "zeros", "ones", "no directory", "cut short", "a primary missing", "a table cut short",
        "15 channels", "a table of 16 million colours", "too long",
    ],
)  # fmt: skip
def test_a_broken_profile_is_no_reason_to_refuse_a_picture(profile):
    """Viewers show the picture as if it had none."""
    assert difference(to_srgb(carrying(odd.photo(), profile)), odd.photo()) == 0


def test_a_chain_of_floats_is_not_followed():
    """No browser does; the table beside it is applied."""
    red, green, blue = odd.photo().split()
    photo = carrying(Image.merge("RGB", (blue, green, red)), _of_floats())

    assert difference(to_srgb(photo), odd.photo()) < 1


def test_no_damage_to_a_profile_is_an_error():
    dice = random.Random(0)  # noqa: S311 - the same damage every time
    makers = [(profiles.display_p3(), "RGB"), (profiles.swapped_channels(5), "RGBA"), (profiles.inks(3), "CMYK")]
    for _ in range(10):
        for whole, mode in makers:
            damaged = bytearray(whole)
            for _ in range(dice.choice([1, 3, 10])):
                damaged[dice.randrange(min(len(whole), 500))] = dice.randrange(256)
            picture = carrying(Image.new(mode, (3, 2)), bytes(damaged))

            assert to_srgb(picture).size == (3, 2)

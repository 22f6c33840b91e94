"""JPEG: what is odd before the first scan is read, what is wrong within one is refused."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from model.errors import DamagedImage, UnsupportedImage
from model.jpeg import MAX_SCANS, Jpeg
from model.opencv import cv2
from tests.pictures import odd

SOUND = odd.encoded(odd.photo(), "JPEG", quality=90)
PROGRESSIVE = odd.encoded(odd.photo(), "JPEG", quality=90, progressive=True)
SCAN = SOUND.index(b"\xff\xda")
THIRD = len(SOUND) // 3
END = b"\xff\xd9"


def pixels(image, *, reduction=1, strict=True):
    return Jpeg.read(image).decode("BGR", reduction, strict=strict)


def by_opencv(image, flags=cv2.IMREAD_COLOR):
    return cv2.imdecode(np.frombuffer(image, np.uint8), flags)


def segment(marker, content):
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def with_zero_scan_parameters(image):
    """As some cameras write them: of a sequential scan they can mean only one thing."""
    position = image.index(b"\xff\xda") + 2
    end = position + int.from_bytes(image[position : position + 2])
    return image[: end - 3] + bytes(3) + image[end:]


def without_interleaving(picture):
    """A scan for each colour, as it is stored when it is grey."""
    planes = [odd.encoded(plane, "JPEG", quality=90) for plane in picture.convert("YCbCr").split()]
    frame = planes[0].index(b"\xff\xc0")
    components = b"".join(bytes((number, 0x11, 0)) for number in (1, 2, 3))
    head = planes[0][: frame + 9] + b"\3" + components
    head = head[: frame + 2] + struct.pack(">H", 8 + len(components)) + head[frame + 4 :]
    tables = planes[0][frame + 2 + 11 : planes[0].index(b"\xff\xda")]
    scans = [
        segment(0xDA, bytes((1, number, 0, 0, 63, 0))) + plane[plane.index(b"\xff\xda") + 10 : -2]
        for number, plane in enumerate(planes, start=1)
    ]
    return head + tables + b"".join(scans) + END


HARMLESS = {
    "stray bytes before the first segment": lambda image: image[:2] + bytes(10) + image[2:],
    "stray bytes before the first scan": lambda image: image.replace(b"\xff\xda", bytes(10) + b"\xff\xda", 1),
    "a restart marker before the first segment": lambda image: image[:2] + b"\xff\xd0" + image[2:],
    "fill bytes": lambda image: image[:2] + b"\xff" * 100 + image[2:],
    "a version of JFIF that nobody knows": lambda image: image.replace(b"JFIF\0\1", b"JFIF\0\x09", 1),
    "a transform of Adobe's that nobody knows": lambda image: (
        image[:2] + segment(0xEE, b"Adobe\0\x64\0\0\0\0\x07") + image[2:]
    ),
    "a transform of Adobe's for inks": lambda image: image[:2] + segment(0xEE, b"Adobe\0\x64\0\0\0\0\x02") + image[2:],
    "a colour profile of which parts are missing": lambda image: (
        image[:2] + segment(0xE2, b"ICC_PROFILE\0\5\1 and no more") + image[2:]
    ),
    "parameters left zero": with_zero_scan_parameters,
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_odd_before_the_first_scan_changes_no_pixel(name):
    """Libjpeg warns of it as it does of damage, and viewers show the picture."""
    np.testing.assert_array_equal(pixels(HARMLESS[name](SOUND)), pixels(SOUND))


DAMAGE = {
    "cut short": lambda image: image[: len(image) // 2],
    "without its last bytes": lambda image: image[:-20],
    "without its end": lambda image: image[:-2],
    "cut short, with an end": lambda image: image[: len(image) // 2] + END,
    "nearly whole, with an end": lambda image: image[: -len(image) // 8] + END,
    "a stray marker": lambda image: image[:THIRD] + b"\xff\xf7" + image[THIRD:],
    "a table's marker": lambda image: image[:THIRD] + b"\xff\xc4" + image[THIRD:],
    "a restart marker": lambda image: image[:THIRD] + b"\xff\xd3" + image[THIRD:],
    "a part missing": lambda image: image[:THIRD] + image[2 * THIRD :],
    "zeros": lambda image: image[:THIRD] + bytes(THIRD) + image[2 * THIRD :],
    "zeros up to its end": lambda image: image[:THIRD] + bytes(THIRD) + END,
    "stray bytes before its end": lambda image: image[:-2] + bytes(10) + END,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_wrong_within_a_scan_is_refused(name):
    """Others show grey from there on, and a model gives that a label."""
    with pytest.raises(DamagedImage, match="damaged"):
        pixels(DAMAGE[name](SOUND))


@pytest.mark.parametrize("name", ["cut short, with an end", "a part missing", "zeros"])
def test_damage_in_a_progressive_photo_is_refused(name):
    """Here it makes no grey, only a coarse picture; nobody would notice."""
    with pytest.raises(DamagedImage):
        pixels(DAMAGE[name](PROGRESSIVE))


@pytest.mark.parametrize("harmless", HARMLESS)
@pytest.mark.parametrize("damage", ["cut short, with an end", "zeros"])
def test_an_oddity_hides_no_damage(harmless, damage):
    """Libjpeg stops at the first thing that it warns of, and says nothing of what follows."""
    with pytest.raises(DamagedImage):
        pixels(HARMLESS[harmless](DAMAGE[damage](SOUND)))


@pytest.mark.parametrize("name", [name for name in DAMAGE if name not in {"a stray marker", "a table's marker"}])
def test_what_is_there_is_shown_if_that_is_wanted(name):
    shown = pixels(DAMAGE[name](SOUND), strict=False)

    np.testing.assert_array_equal(shown[:60], pixels(SOUND)[:60])


def test_what_follows_the_picture_is_nobodys_business():
    """Phones append film clips, and previews."""
    np.testing.assert_array_equal(pixels(SOUND + bytes(64) + b"\xff\xda more" * 1000), pixels(SOUND))


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
@pytest.mark.parametrize("image", [SOUND, PROGRESSIVE, odd.greyscale_jpeg()], ids=["sound", "progressive", "grey"])
def test_every_size_has_the_pixels_that_opencv_finds(image, reduction):
    """Which had them before: no label changes."""
    flags = {1: 0, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}

    np.testing.assert_array_equal(pixels(image, reduction=reduction), by_opencv(image, flags[reduction] or 1))


def test_every_sample_photo_is_sound(imagenet_sample):
    for file in sorted(imagenet_sample.glob("*.JPEG")):
        photo = file.read_bytes()
        np.testing.assert_array_equal(pixels(photo), by_opencv(photo, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION))


def test_colours_in_scans_of_their_own_are_read():
    """Their parameters are looked at in each scan."""
    image = without_interleaving(odd.photo())
    second = image.index(b"\xff\xda", image.index(b"\xff\xda") + 2)
    sound = pixels(image)

    assert np.abs(sound[..., ::-1].astype(int) - np.asarray(odd.photo())).mean() < 4
    np.testing.assert_array_equal(pixels(image[:second] + with_zero_scan_parameters(image[second:])), sound)


def test_ink_is_given_as_ink():
    """CMYK, of which 255 is no ink, as Adobe's programs have written it since the first."""
    inks = odd.photo().convert("CMYK")

    found = Jpeg.read(odd.encoded(inks, "JPEG", quality=100)).decode("CMYK", 1, strict=True)

    assert np.abs(255 - found.astype(int) - np.asarray(inks)).mean() < 1


def test_metadata_are_found_where_they_are():
    """A colour profile of more than 64 kB comes in parts, in any order."""
    profile = bytes(range(256)) * 300
    parts = [
        segment(0xE2, b"ICC_PROFILE\0" + bytes((number + 1, 2)) + profile[number * 60_000 :][:60_000])
        for number in range(2)
    ]
    exif, xmp = segment(0xE1, b"Exif\0\0II*\0first"), segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")

    jpeg = Jpeg.read(SOUND[:2] + parts[1] + xmp + exif + segment(0xE1, b"Exif\0\0MM\0*second") + parts[0] + SOUND[2:])

    assert (jpeg.exif, jpeg.xmp) == (b"II*\0first", b"<x/>")
    assert jpeg.profile == profile
    assert Jpeg.read(SOUND[:2] + parts[0] + SOUND[2:]).profile == b""
    assert (Jpeg.read(SOUND).exif, Jpeg.read(SOUND).profile) == (b"", b"")


@pytest.mark.parametrize(
    ("position", "value", "reason"),
    [(4, 12, "JPEGs of 12 bits"), (9, 2, "JPEGs of 2 components")],
)
def test_kinds_that_are_not_read_are_said_to_be_unsupported(position, value, reason):
    """They are no damage: the sender may convert them."""
    image = bytearray(SOUND)
    image[SOUND.index(b"\xff\xc0") + position] = value

    with pytest.raises(UnsupportedImage, match=f"{reason} are not supported"):
        Jpeg.read(bytes(image))


@pytest.mark.parametrize("process", [0xC3, 0xC9, 0xCA])
def test_what_is_coded_otherwise_is_not_read(process):
    """Arithmetic coding, and none of loss: libjpeg goes on without a word where such data are wrong."""
    with pytest.raises(UnsupportedImage, match="arithmetic coding, or without loss, are not supported"):
        Jpeg.read(SOUND.replace(b"\xff\xc0", bytes((0xFF, process)), 1))


def test_as_many_passes_are_read_as_no_encoder_makes():
    with pytest.raises(UnsupportedImage, match=f"more than {MAX_SCANS} passes"):
        Jpeg.read(odd.jpeg_with_endless_scans())


@pytest.mark.parametrize("image", [b"\xff\xd8\xff", SOUND[:160], SOUND[:SCAN], SOUND[:2] + SOUND[SCAN:]])
def test_a_jpeg_without_a_frame_or_a_scan_is_damaged(image):
    with pytest.raises(DamagedImage):
        Jpeg.read(image)

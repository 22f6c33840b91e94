"""Which way up: as Chromium 156 and Firefox 153 show it, and where they are silent as photo programs do."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from model.orientation import way_up
from model.tests.reading import read
from tests.pictures import boxed, odd, oriented
from tests.pictures.oriented import BYTE, LONG, SHORT, SLONG

_TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


def shown(orientation):
    """What a viewer makes of the four corners."""
    picture = oriented.corners()
    return np.asarray(picture if orientation == 1 else picture.transpose(_TRANSPOSED[orientation]))


def lies(image, *, exif_orientation=True):
    """By EXIF's number, how the corners lie after decoding."""
    rgb = read(image, exif_orientation=exif_orientation)[..., ::-1].astype(int)
    (found,) = (
        number for number in range(1, 9) if shown(number).shape == rgb.shape and np.abs(shown(number) - rgb).mean() < 12
    )
    return found


MAKERS = {"jpeg": oriented.jpeg, "png": oriented.png, "webp": oriented.webp, "avif": oriented.avif}
BY_EXIF = {name: MAKERS[name] for name in ("jpeg", "png", "webp")}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("make", BY_EXIF.values(), ids=BY_EXIF)
def test_a_picture_is_turned_as_its_exif_data_say_in_either_byte_order(make, order, orientation):
    image = make(exif_data=oriented.exif(orientation, order=order))

    assert lies(image) == orientation
    assert lies(image, exif_orientation=False) == 1


@pytest.mark.parametrize("kind", [BYTE, SLONG])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_number_of_a_type_that_nobody_writes_turns_nothing(kind, order):
    assert lies(oriented.jpeg(exif_data=oriented.exif(6, order=order, kind=kind))) == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_number_may_be_longer_than_the_standards(order):
    """Some programs write it so, and photo programs take it; nothing else in the file says which way is up."""
    assert lies(oriented.jpeg(exif_data=oriented.exif(6, order=order, kind=LONG))) == 6


@pytest.mark.parametrize("as_element", [False, True])
@pytest.mark.parametrize("make", BY_EXIF.values(), ids=BY_EXIF)
def test_what_only_xmp_says_counts_where_exif_data_do_not_say_otherwise(make, as_element):
    """As photo programs have it."""
    assert lies(make(xmp_data=oriented.xmp(6, as_element=as_element))) == 6
    assert lies(make(xmp_data=oriented.xmp(6)), exif_orientation=False) == 1


def test_boxes_alone_turn_an_avif_whatever_xmp_says():
    assert lies(oriented.avif(xmp_data=oriented.xmp(6))) == 1


@pytest.mark.parametrize("make", BY_EXIF.values(), ids=BY_EXIF)
def test_exif_data_win_over_xmp(make):
    assert lies(make(exif_data=oriented.exif(3), xmp_data=oriented.xmp(6))) == 3
    assert lies(make(exif_data=oriented.exif(1), xmp_data=oriented.xmp(6))) == 1


def test_of_several_exif_segments_in_a_jpeg_the_first_counts():
    first, second = b"Exif\0\0" + oriented.exif(6), b"Exif\0\0" + oriented.exif(3)
    empty = b"Exif\0\0MM\0*\0\0\0\x08\0\0" + bytes(4)

    assert lies(oriented.jpeg_with(first, second)) == 6
    assert lies(oriented.jpeg_with(empty, second)) == 1


def test_exif_data_behind_a_pngs_pixels_turn_nothing():
    """The specification allows them there, but a browser would have to turn what it shows already."""
    assert lies(oriented.png(exif_data=oriented.exif(6), after_pixels=True)) == 1


def test_a_png_whose_exif_data_are_damaged_is_shown_as_it_lies():
    image = oriented.png(exif_data=oriented.exif(6))
    checksum = image.index(b"eXIf") + 4 + len(oriented.exif(6))

    assert lies(image[:checksum] + b"none" + image[checksum + 4 :]) == 1


@pytest.mark.parametrize("prefix", [b"Exif\0\0", b"abcdef"])
def test_a_png_has_no_prefix_before_its_exif_data(prefix):
    assert lies(oriented.png(exif_data=prefix + oriented.exif(6))) == 1


@pytest.mark.parametrize("prefix", [b"", b"Exif\0", b"EXIF\0\0", b"Exif\0\0Exif\0\0"])
def test_a_jpegs_exif_segment_starts_as_the_standard_says(prefix):
    assert lies(oriented.jpeg_with(prefix + oriented.exif(6))) == 1


@pytest.mark.parametrize("orientation", [0, 9, 99, 0xFFFF])
def test_a_number_without_a_meaning_turns_nothing(orientation):
    assert way_up(oriented.exif(orientation), b"") == 1
    assert way_up(b"", oriented.xmp(orientation)) == 1


DAMAGED = {
    "nothing": b"",
    "a prefix": b"Exif\0\0",
    "a byte order": b"II*\0",
    "no byte order": b"abcd" + oriented.exif(6)[4:],
    "of another version": b"MM\0+" + oriented.exif(6)[4:],
    "a directory far behind the end": b"MM\0*\xff\xff\xff\xff",
    "more entries than there are bytes": b"MM\0*\0\0\0\x08\xff\xff",
    "cut short within its number": oriented.exif(6)[:19],
    "twice the number": oriented.exif(6, count=2),
    "none of the number": oriented.exif(6, count=0),
}


@pytest.mark.parametrize("exif", DAMAGED.values(), ids=DAMAGED)
def test_damaged_exif_data_leave_the_picture_as_it_lies(exif):
    assert way_up(exif, b"") == 1
    assert lies(oriented.jpeg(exif_data=exif)) == 1


def test_an_entry_counts_wherever_it_stands_in_the_directory():
    others = b"".join(struct.pack(">HHII", tag, SHORT, 1, 1 << 16) for tag in (0x0200, 0x011A))
    entry = oriented.exif(6)[10:22]

    assert way_up(b"MM\0*\0\0\0\x08\0\3" + others + entry + bytes(4), b"") == 6
    assert way_up(b"MM\0*\0\0\0\x20" + bytes(24) + oriented.exif(6)[8:], b"") == 6


def test_an_entry_counts_if_the_directory_ends_before_it_should():
    assert way_up(oriented.exif(6)[:8] + b"\0\x09" + oriented.exif(6)[10:], b"") == 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("make", [oriented.avif, oriented.heic])
def test_an_avif_and_a_heic_are_turned_by_their_boxes_whatever_other_metadata_say(make, orientation):
    image = make(turns=boxed.TURNS[orientation], exif_data=oriented.exif(3), xmp_data=oriented.xmp(5))

    assert lies(image) == orientation


@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_data_alone_do_not_turn_an_avif_or_a_heic(orientation):
    """Pillow would turn the AVIF."""
    assert lies(oriented.avif(exif_data=oriented.exif(orientation))) == 1
    assert lies(oriented.heic(exif_data=oriented.exif(orientation))) == 1


@pytest.mark.parametrize("orientation", range(2, 9))
def test_an_avif_is_turned_before_it_is_mirrored_whatever_its_boxes_order(orientation):
    assert lies(oriented.avif(turns=boxed.TURNS[orientation][::-1])) == orientation


@pytest.mark.parametrize("orientation", range(2, 9))
def test_an_avifs_boxes_are_obeyed_only_if_that_is_wanted(orientation):
    assert lies(oriented.avif(turns=boxed.TURNS[orientation]), exif_orientation=False) == 1


def test_damaged_exif_data_do_not_keep_an_avif_from_being_shown():
    """Pillow refuses it for them."""
    assert lies(oriented.avif(exif_data=b"no EXIF data", turns=boxed.TURNS[6])) == 6


@pytest.mark.parametrize("kind", [SHORT, LONG])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_is_turned_as_its_tag_says(kind, compression):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x0112] = 6
    tags.tagtype[0x0112] = kind

    assert lies(odd.encoded(oriented.corners(), "TIFF", tiffinfo=tags, compression=compression)) == 6

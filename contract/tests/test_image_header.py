"""Reading headers: the same size that a decoder finds, and a limit to every reading."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from contract.image_header import isobmff, jpeg, media_type, read_size
from contract.image_header.header import BrokenHeader
from tests.pictures import odd


@pytest.mark.parametrize("make", [*odd.SOUND.values(), odd.avif, odd.palette_png, odd.thread_png])
def test_the_size_is_the_one_that_a_decoder_finds(make):
    image = make()

    assert read_size(image) == odd.opened(image).size


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 80}),
        ("WEBP", {"quality": 80, "exif": b"Exif\0\0"}),
        ("TIFF", {"big_endian": True}),
        ("AVIF", {"save_all": True, "append_images": [Image.new("RGB", (301, 17))]}),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (301, 17), (16_000, 1)])
def test_every_layout_of_a_header_is_read(file_format, options, size):
    """Lossy, lossless and extended WebP, either byte order, animations."""
    options = {**options, "append_images": [Image.new("RGB", size)]} if "append_images" in options else options

    assert read_size(odd.encoded(Image.new("RGB", size, "red"), file_format, **options)) == size


@pytest.mark.parametrize(
    ("header", "expected"),
    [(struct.pack("<IHHHH", 12, 300, 200, 1, 24), (300, 200)), (struct.pack("<Iii", 40, 300, -200), (300, 200))],
    ids=["OS/2", "rows from top to bottom"],
)
def test_older_and_upside_down_bitmaps_are_read(header, expected):
    assert read_size(b"BM" + bytes(12) + header) == expected


def test_a_heics_size_is_that_of_what_is_coded():
    """In one piece it has an even number of rows and columns; the surplus is cut off after decoding."""
    assert read_size(odd.tiled_heic()) == (451, 300)
    assert read_size(odd.heic()) == (452, 300)
    assert read_size(odd.turned_heic()) == (300, 452)


@pytest.mark.parametrize(
    ("brands", "expected"),
    [
        (b"heic\0\0\0\0mif1heic", "image/heic"),
        (b"heix\0\0\0\0", "image/heic"),
        (b"mif1\0\0\0\0mif1heicMiHE", "image/heic"),
        (b"mif1\0\0\0\0mif1avif", "image/avif"),
        (b"avif\0\0\0\0mif1heic", "image/avif"),
        (b"mif1\0\0\0\0mif1", None),
        (b"mif1\0\0\0\0" + b"mif1" * 1_000_000 + b"heic", None),
        (b"qt  \0\0\0\0qt  ", None),
        (b"isom\0\0\2\0isomheic", None),
    ],
)
def test_the_brands_of_a_file_of_boxes_say_which_codec_it_needs(brands, expected):
    """A camera's film clip is of the same family of formats, but not a picture."""
    assert media_type(struct.pack(">I4s", 8 + len(brands), b"ftyp") + brands) == expected


def test_what_phones_append_does_not_make_a_picture_count_as_cut_short():
    """Film clips in a box of their own, and notes outside any box."""
    whole = odd.tiled_heic()
    isobmff.check_complete(whole)
    isobmff.check_complete(whole + b"\0\0\1\0mpvd" + bytes(248) + b"SEFHk\0\0\0")

    with pytest.raises(BrokenHeader, match="cut short"):
        isobmff.check_complete(whole[:-1])


@pytest.mark.parametrize("name", odd.SOUND)
def test_a_header_that_is_cut_short_anywhere_is_broken_and_nothing_worse(name):
    """Any other error would be answered as a fault of ours."""
    image = odd.SOUND[name]()
    for length in range(12, 700):
        try:
            size = read_size(image[:length])
        except BrokenHeader:
            continue

        assert size == odd.opened(image).size


def test_scans_are_counted_up_to_the_pictures_end():
    """Phones append film clips, whose bytes may look like scans."""
    assert jpeg.count_scans(odd.CHELSEA.read_bytes()) == 1
    assert jpeg.count_scans(odd.jpeg_with_trailing_bytes()) == 1
    assert jpeg.count_scans(odd.progressive_jpeg()) == 10
    assert jpeg.count_scans(odd.jpeg_with_endless_scans(1_000)) == 1_010


def test_fill_bytes_before_a_marker_are_skipped():
    """The standard allows any number of them (T.81, B.1.1.2)."""
    whole = odd.CHELSEA.read_bytes()

    assert read_size(whole[:2] + b"\xff" * 100 + whole[2:]) == (451, 300)

"""Reading headers: the same size that a decoder finds, and a limit to every reading."""

from __future__ import annotations

import random
import struct
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from contract.image_header import av1, is_animated_gif, isobmff, jpeg, media_type, read_header
from contract.image_header.header import BrokenHeader, Size, UnsupportedHeader
from tests.pictures import headers, odd

if TYPE_CHECKING:
    from collections.abc import Callable

# That reading a header may take: of functions, a few for each part that is looked at.
MOST_CALLS = 60_000

ALL = {**odd.SOUND, **headers.RARE, **{make.__name__: make for make in (odd.avif, odd.heic, odd.tiled_heic)}}


def read_size(image: bytes) -> Size:
    header = read_header(image)
    assert header is not None
    return header.size


def largest_size(image: bytes) -> Size:
    header = read_header(image)
    assert header is not None
    return header.largest


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


@pytest.mark.parametrize("make", headers.RARE.values())
def test_valid_headers_that_few_programs_write_are_read(make):
    """BigTIFF, films without a still, frames over the screen's edge: viewers show them all."""
    assert read_size(make()) == headers.SIZE


def test_a_file_of_28_bytes_is_a_picture_too():
    image = headers.tiny_webp()

    assert len(image) == 28
    assert odd.opened(image).convert("RGB").getcolors() == [(256, (0, 0, 0))]
    assert read_size(image) == (16, 16)


@pytest.mark.parametrize("header_bytes", [16, 40, 52, 56, 64, 108, 124])
def test_bitmaps_with_headers_of_any_length_are_read(header_bytes):
    """From OS/2's to those of Windows 98."""
    assert read_size(b"BM" + bytes(12) + struct.pack("<Iii", header_bytes, 300, 200)) == (300, 200)


@pytest.mark.parametrize(
    ("make", "size", "largest"),
    [
        (odd.tiff, headers.SIZE, headers.SIZE),
        (headers.tiff_with_huge_tiles, (16, 16), (30_000, 30_000)),
        (headers.avif_that_calls_itself_small, headers.SIZE, headers.SIZE),
        (headers.avif_sequence_that_calls_itself_small, headers.SIZE, headers.SIZE),
        (headers.heic_whose_tiles_make_more_than_it_says, headers.SIZE, headers.SIZE),
    ],
)
def test_what_a_decoder_must_hold_counts_whatever_the_picture_calls_itself(make, size, largest):
    """Memory is spent on what is coded: tiles, planes, frames."""
    image = make()

    assert read_size(image) == size
    assert largest_size(image) == largest


def test_a_film_behind_a_photo_is_none_of_it():
    """Phones append one, and its boxes follow other rules."""
    film = struct.pack(">I4sI4s", 16, b"moov", 8, b"trak") + struct.pack(">I4s", 10_000, b"moov")

    assert read_size(odd.tiled_heic() + film) == headers.SIZE
    assert read_size(odd.avif() + film) == headers.SIZE
    with pytest.raises(BrokenHeader, match="cut short"):
        read_size(headers.avif_sequence().replace(b"moov", b"free") + film[:8] + film[16:])


@pytest.mark.parametrize("layers", [1, 32])
@pytest.mark.parametrize("timing", ["", "0" * 64 + "1" + "0001000" + "0", "1" * 64 + "0" + "1" + "01001" + "0" * 42])
@pytest.mark.parametrize("display_delays", ["0", "1"])
def test_av1_data_of_many_layers_state_their_size(layers, timing, display_delays):
    """Video encoders describe when each layer is to be shown, all before the size."""
    has_delays = timing.endswith("0" * 42)
    layer = (
        "0" * 12 + "01000" + "1" + ("1" + "0" * 21 if has_delays else "") + ("10000" if display_delays == "1" else "")
    )
    bits = "00000" + ("1" + timing if timing else "0") + display_delays + f"{layers - 1:05b}" + layer * layers
    bits += "1000" + "0111" + f"{450:09b}" + f"{199:08b}"
    header = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))
    length = bytes([len(header) & 0x7F | 0x80, len(header) >> 7])
    stream = b"\x12\0" + b"\x0a" + length + header  # behind a delimiter without content

    assert list(av1.Streams(stream).size_at(0)) == [(451, 200)]
    assert list(av1.Streams(stream[:-1]).size_at(0)) == []


@pytest.mark.parametrize(
    ("orientation", "turns"),
    [(1, []), (2, [(b"imir", 1)]), (3, [(b"irot", 2)]), (4, [(b"imir", 0)]), (6, [(b"irot", 3)])],
)
def test_the_turns_in_an_avifs_boxes_are_those_of_its_main_picture(orientation, turns):
    exif = Image.Exif()
    exif[0x0112] = orientation

    assert isobmff.read_turns(odd.encoded(odd.photo(), "AVIF", exif=exif)) == turns


@pytest.mark.parametrize("make", [headers.avif_sequence, headers.avif_without_main_picture])
def test_without_a_main_picture_there_is_nothing_to_turn(make):
    assert isobmff.read_turns(make()) == []


@pytest.mark.parametrize(
    ("make", "marker", "precision", "components"),
    [
        (odd.CHELSEA.read_bytes, 0xC0, 8, 3),
        (odd.progressive_jpeg, 0xC2, 8, 3),
        (odd.cmyk_jpeg, 0xC0, 8, 4),
        (odd.greyscale_jpeg, 0xC0, 8, 1),
        (headers.twelve_bit_jpeg, 0xC1, 12, 3),
    ],
)
def test_a_jpegs_frame_header_says_how_it_is_coded(make, marker, precision, components):
    """What decoders for 8 bits can't read is no damage."""
    assert jpeg.read_frame(make()) == (marker, precision, headers.SIZE, components)


def test_a_jpeg_without_a_height_is_not_supported():
    """It is sound: the height follows the first scan. Neither libjpeg nor browsers read that."""
    image = headers.jpeg_with_its_height_at_the_end()

    assert jpeg.read_frame(image).size == (451, 0)
    with pytest.raises(UnsupportedHeader, match="not supported"):
        read_size(image)


def test_av1_data_are_looked_at_for_a_hundred_pictures_of_a_file():
    """Each may describe 32 layers before it states a size."""
    image = headers.avif_of_many_pictures_of_many_layers()

    assert read_size(image) == (9, 9)
    assert _calls(_outcome, image) < MOST_CALLS


@pytest.mark.parametrize("name", [*headers.ENDLESS, *odd.ENDLESS])
def test_a_header_is_never_read_without_end(name):
    """Uploads of up to 20 MB are read between requests: the number of parts that are looked at is bounded."""
    image = {**headers.ENDLESS, **odd.ENDLESS}[name]()

    assert _calls(_outcome, image) < MOST_CALLS
    if name in headers.ENDLESS:
        assert _outcome(image) is None


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


@pytest.mark.parametrize("name", [*ALL])
def test_a_header_that_is_cut_short_anywhere_is_broken_and_nothing_worse(name):
    """Any other error would be answered as a fault of ours."""
    image = ALL[name]()
    whole = read_size(image)
    for length in range(12, 1_000):
        size = _outcome(image[:length])

        assert size in {None, whole}


@pytest.mark.parametrize("name", [*ALL])
def test_a_header_with_wrong_bytes_is_broken_at_worst(name):
    """Whatever the bytes say, it is no fault of ours, and the number of parts that are looked at is bounded."""
    image = ALL[name]()
    dice = random.Random(name)  # noqa: S311 - the same damage every time
    for _ in range(100):
        mutated = bytearray(image)
        for _ in range(dice.choice([1, 4, 30])):
            mutated[dice.randrange(4, min(len(image), 1_000))] = dice.choice([0, 1, 0x7F, 0xFF, dice.randrange(256)])

        assert _calls(_outcome, bytes(mutated)) < MOST_CALLS


def test_no_frame_is_looked_for_behind_a_jpegs_first_scan():
    """It would be a walk through all of an upload, between requests."""
    scan = b"\xff\xda\0\x08\1\1\0\0\x3f\0"

    with pytest.raises(BrokenHeader):
        read_size(b"\xff\xd8" + scan + odd.CHELSEA.read_bytes()[2:])


def test_scans_are_counted_up_to_the_pictures_end():
    """Phones append film clips, whose bytes may look like scans."""
    assert _scans(odd.CHELSEA.read_bytes()) == 1
    assert _scans(odd.jpeg_with_trailing_bytes()) == 1
    assert _scans(odd.progressive_jpeg()) == 10
    assert _scans(odd.jpeg_with_endless_scans(1_000)) == 1_010


def test_fill_bytes_before_a_marker_are_skipped():
    """The standard allows any number of them (T.81, B.1.1.2)."""
    whole = odd.CHELSEA.read_bytes()

    assert read_size(whole[:2] + b"\xff" * 100 + whole[2:]) == (451, 300)


def _scans(image: bytes) -> int:
    return sum(marker == 0xDA for marker, _ in jpeg.segments(image))


def _outcome(image: bytes) -> tuple[int, int] | None:
    """The size, or None if the header is refused; all that reads headers has read it."""
    try:
        header = read_header(image)
        if media_type(image) in {"image/avif", "image/heic"}:
            isobmff.read_turns(image)
        if media_type(image) == "image/jpeg":
            _scans(image)
    except BrokenHeader:
        return None
    return header.largest if header else None


def _calls(function: Callable[[bytes], object], image: bytes) -> int:
    """How many functions were called meanwhile, of Python's and of C's."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        function(image)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(("make", "animated"), [(odd.animated_gif, True), (odd.gif, False), (odd.animated_webp, False)])
def test_a_gif_is_animated_if_a_second_frame_follows_the_first(make, animated):
    """Whatever stands between them; and a file that ends anywhere is an answer, not an error."""
    image = make()

    assert is_animated_gif(image) is animated
    assert not any(is_animated_gif(image[:end]) for end in range(0, 1000, 7))


def test_what_is_looked_at_for_a_second_frame_is_bounded():
    """A frame may have millions of blocks of one byte, for who wants to keep the API busy."""
    head, second = b"GIF89a\x08\0\x08\0\0\0\0" + b",\0\0\0\0\x08\0\x08\0\0\x02", b"\0,"

    assert is_animated_gif(head + b"\x01x" * 1_000 + second)
    assert not is_animated_gif(head + b"\x01x" * 1_000_000 + second)

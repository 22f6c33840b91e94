"""Small files that would cost a reader much memory or time, because more is in them than their headers say.

If one can be read for what it seems to be, white of ``SIZE`` is seen.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple, Self

from PIL import Image

from tests.pictures import odd

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = (100, 100)
_LARGE = (8192, 4096)
_MEGABYTE = 1_000_000
_ESSENTIAL = 0x80  # beside the number of a property (ISO/IEC 23008-12, 9.3)


def _white(size: tuple[int, int] = SIZE, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size, "white" if mode != "P" else 0)


def _zeros(megabytes: int) -> bytes:
    """Deflated, a thousandth of it; one piece is repeated, because to deflate a gigabyte takes half a minute."""
    deflate = zlib.compressobj(9)
    first = deflate.compress(bytes(_MEGABYTE)) + deflate.flush(zlib.Z_FULL_FLUSH)
    header, piece = first[:2], first[2:]
    last = b"\3\0"  # an empty block that ends the stream (RFC 1951, 3.2.3)
    checksum = ((megabytes * _MEGABYTE % 65_521) << 16 | 1).to_bytes(4)  # Adler-32 (RFC 1950, 8.2), of zeros
    return header + piece * megabytes + last + checksum


def avif_larger_than_its_boxes_say() -> bytes:
    """33 megapixels in 800 bytes."""
    whole = bytearray(odd.encoded(_white(_LARGE, "L"), "AVIF", speed=10, quality=50))
    struct.pack_into(">II", whole, whole.index(b"ispe") + 8, *SIZE)
    return bytes(whole)


def avif_whose_alpha_is_larger() -> bytes:
    """The picture is small; the plane of its alpha has 16 megapixels."""
    colour, alpha = _Coded.of(SIZE), _Coded.of((4096, 4096))
    return _avif(
        [_Item(b"av01", 0, bytes([1, 2, _ESSENTIAL | 3])), _Item(b"av01", 1, bytes([1, 2, _ESSENTIAL | 4, 5]))],
        contents=[colour.data, alpha.data],
        properties=[
            _size(SIZE),
            _full(b"pixi", b"\1\x08"),
            colour.settings,
            alpha.settings,
            _full(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"),
        ],
        references=_box(b"auxl", struct.pack(">HHH", 2, 1, 1)),
    )


def avif_of_many_tiles() -> bytes:
    """A grid of 64 x 64 pictures of 64 x 64 pixels, which are one and the same; its box says 100 x 100."""
    side = 64
    tile, tiles = _Coded.of((side, side)), side * side
    return _avif(
        [_Item(b"grid", 0, bytes([1, 3])), *[_Item(b"av01", 1, bytes([2, 3, _ESSENTIAL | 4]))] * tiles],
        contents=[struct.pack(">BBBBHH", 0, 0, side - 1, side - 1, 64 * side, 64 * side), tile.data],
        properties=[_size(SIZE), _size((64, 64)), _full(b"pixi", b"\1\x08"), tile.settings],
        references=_box(b"dimg", struct.pack(f">HH{tiles}H", 1, tiles, *range(2, tiles + 2))),
    )


def heic_grid_larger_than_its_boxes_say() -> bytes:
    """256 x 256 tiles, which are not there, for 60,000 x 60,000 pixels."""
    whole = odd.heic_of(_white(), tile_size=64)
    grid = struct.pack(">BBBBHH", 0, 0, 1, 1, *SIZE)
    return whole.replace(grid, struct.pack(">BBBBHH", 0, 0, 255, 255, 60_000, 60_000))


def png_with_more_data_than_pixels() -> bytes:
    """15 GB behind the last row: all that an upload holds."""
    return _png_with(b"\xff" * 101, _zeros(15_000), depth=8)


def one_bit_png_with_more_data_than_pixels() -> bytes:
    return _png_with(b"\xff" * 14, _zeros(1_000), depth=1)


def png_with_an_inflating_profile() -> bytes:
    """A gigabyte of it."""
    whole = odd.encoded(_white(), "PNG")
    return whole[:33] + odd.chunk(b"iCCP", b"p\0\0" + _zeros(1_000)) + whole[33:]


def one_bit_png_with_inflating_texts() -> bytes:
    """150 texts of 100 MB."""
    whole = odd.encoded(_white(mode="L").convert("1"), "PNG")
    text = odd.chunk(b"zTXt", b"t\0\0" + _zeros(100))
    return whole[:33] + text * 150 + whole[33:]


def gif_whose_frame_is_larger_than_its_screen() -> bytes:
    """65,535 x 65,535 on 100 x 100."""
    whole = bytearray(odd.encoded(_white(mode="L"), "GIF"))
    frame = whole.index(b",\0\0\0\0")
    struct.pack_into("<HH", whole, frame + 5, 65_535, 65_535)
    return bytes(whole)


def gif_with_more_data_than_pixels() -> bytes:
    """10 MB of codes behind the last pixel."""
    whole = odd.encoded(_white(mode="L"), "GIF")
    return whole[:-2] + (b"\xff" + bytes(255)) * 40_000 + b"\0;"


def gif_with_many_frames() -> bytes:
    """Only the first is shown, however many follow."""
    whole = odd.encoded(_white(mode="L"), "GIF")
    return whole[:-1] + whole[whole.index(b",\0\0\0\0") : -1] * 30_000 + b";"


def webp_larger_than_its_canvas() -> bytes:
    """The extended header says 100 x 100, the picture 4,096 x 4,096."""
    simple = odd.encoded(_white((4096, 4096)), "WEBP", lossless=True, method=0)
    canvas = b"VP8X" + struct.pack("<II", 10, 0) + b"".join((side - 1).to_bytes(3, "little") for side in SIZE)
    return b"RIFF" + struct.pack("<I", len(simple) - 8 + len(canvas)) + b"WEBP" + canvas + simple[12:]


def animated_webp_with_a_frame_larger_than_its_canvas() -> bytes:
    black = Image.new("RGB", (4096, 4096))
    whole = bytearray(
        odd.encoded(_white((4096, 4096)), "WEBP", lossless=True, method=0, save_all=True, append_images=[black])
    )
    canvas = whole.index(b"VP8X") + 12
    whole[canvas : canvas + 6] = b"".join((side - 1).to_bytes(3, "little") for side in SIZE)
    return bytes(whole)


def tiff_with_a_tile_larger_than_itself() -> bytes:
    """A tile of 60,000 x 60,000, deflated."""
    data = _zeros(100)
    return _tiff({322: (4, 60_000), 323: (4, 60_000), 324: (4, 0), 325: (4, len(data))}, data, compression=8)


def tiff_with_a_strip_larger_than_itself() -> bytes:
    """A gigabyte of rows behind the hundredth."""
    return _one_strip(_zeros(1_000), compression=8)


def tiff_with_a_gigabyte_for_each_row() -> bytes:
    """A strip for each row, all of which are the same gigabyte."""
    data = _zeros(1_000)
    width, height = SIZE
    start = 8 + 2 + 12 * 9 + 4
    lists = struct.pack(f"<{2 * height}I", *[start + 8 * height] * height, *[len(data)] * height)
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 0),
        (273, 4, height, start), (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, height, start + 4 * height),
    ]  # fmt: skip
    return _directory(entries) + lists + data


def tiff_with_endless_rows_in_a_strip() -> bytes:
    return _one_strip(zlib.compress(bytes(SIZE[0] * SIZE[1])), compression=8, rows=0xFFFFFFFF)


def tiff_whose_directories_are_a_ring() -> bytes:
    """The next one after the first is the first."""
    whole = _one_strip(bytes(SIZE[0] * SIZE[1]), compression=1)
    (count,) = struct.unpack_from("<H", whole, 8)
    end = 10 + 12 * count
    return whole[:end] + struct.pack("<I", 8) + whole[end + 4 :]


def tiff_with_many_samples_to_a_pixel() -> bytes:
    """65,535 floats, of which a picture of 100 x 100 would have 2.6 GB."""
    return _one_strip(_zeros(100), compression=8, more={277: (3, 65_535), 258: (3, 32), 339: (3, 3)})


def tiff_of_one_row_that_is_a_jpeg_of_many() -> bytes:
    """JPEG in TIFF: the strip's own header says 65,500 x 65,500."""
    whole = bytearray(odd.encoded(_white(mode="L"), "TIFF", compression="jpeg"))
    frame = whole.index(b"\xff\xc0")
    struct.pack_into(">HH", whole, frame + 5, 65_500, 65_500)
    return bytes(whole)


def bmp_with_run_lengths_of_nothing() -> bytes:
    """49 megapixels of which 4 bytes tell: the rest is background."""
    header = struct.pack("<IiiHHIIiiII", 40, 7_000, 7_000, 1, 8, 1, 4, 0, 0, 256, 0)
    palette = b"\xff\xff\xff\0" * 256
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + 4, 0, 0, start) + header + palette + b"\1\1\0\1"


def bmp_that_says_65_500_x_65_500() -> bytes:
    whole = bytearray(odd.encoded(_white(mode="L"), "BMP"))
    struct.pack_into("<ii", whole, 18, 65_500, -65_500)
    return bytes(whole)


def jpeg_that_says_65_500_x_65_500() -> bytes:
    return odd.huge_jpeg(65_500, 65_500)


def progressive_jpeg_that_says_65_500_x_760() -> bytes:
    """All that is allowed, in 2 kB: coefficients of the whole picture are kept for the next scan."""
    whole = bytearray(odd.encoded(_white(), "JPEG", progressive=True))
    struct.pack_into(">HH", whole, whole.index(b"\xff\xc2") + 5, 760, 65_500)
    return bytes(whole)


def jpeg_with_a_large_profile() -> bytes:
    """255 parts of 65 kB, the most that it can have."""
    whole = odd.encoded(_white(), "JPEG")
    parts = [b"\xff\xe2" + struct.pack(">H", 65_535) + b"ICC_PROFILE\0" + bytes([part, 255]) + bytes(65_519)
             for part in range(1, 256)]  # fmt: skip
    return whole[:2] + b"".join(parts) + whole[2:]


BOMBS: dict[str, Callable[[], bytes]] = {
    make.__name__: make
    for make in (
        avif_larger_than_its_boxes_say, avif_whose_alpha_is_larger, avif_of_many_tiles,
        heic_grid_larger_than_its_boxes_say, odd.heic_with_a_huge_picture_in_it,
        png_with_more_data_than_pixels, one_bit_png_with_more_data_than_pixels, png_with_an_inflating_profile,
        one_bit_png_with_inflating_texts, gif_whose_frame_is_larger_than_its_screen, gif_with_more_data_than_pixels,
        gif_with_many_frames, webp_larger_than_its_canvas, animated_webp_with_a_frame_larger_than_its_canvas,
        tiff_with_a_tile_larger_than_itself, tiff_with_a_strip_larger_than_itself, tiff_with_a_gigabyte_for_each_row,
        tiff_with_endless_rows_in_a_strip, tiff_whose_directories_are_a_ring, tiff_with_many_samples_to_a_pixel,
        tiff_of_one_row_that_is_a_jpeg_of_many, bmp_with_run_lengths_of_nothing, bmp_that_says_65_500_x_65_500,
        jpeg_that_says_65_500_x_65_500, progressive_jpeg_that_says_65_500_x_760, jpeg_with_a_large_profile,
    )
}  # fmt: skip
"""By name, their makers."""


def _png_with(row: bytes, more: bytes, *, depth: int) -> bytes:
    """Grey; behind its rows, in the same stream, comes ``more``."""
    rows = b"".join(b"\0" + row[1:] for _ in range(SIZE[1]))
    deflate = zlib.compressobj()
    stream = deflate.compress(rows) + deflate.flush(zlib.Z_FULL_FLUSH) + more[2:]  # without the header of its own
    header = struct.pack(">IIBBBBB", *SIZE, depth, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", stream), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(odd.chunk(kind, body) for kind, body in chunks)


def _one_strip(
    data: bytes, *, compression: int, rows: int = SIZE[1], more: dict[int, tuple[int, int]] | None = None
) -> bytes:
    return _tiff({273: (4, 0), 278: (4, rows), 279: (4, len(data)), **(more or {})}, data, compression=compression)


def _tiff(tags: dict[int, tuple[int, int]], data: bytes, *, compression: int) -> bytes:
    """Grey, of which 0 is white; ``tags`` have a type and a value, and where the offset of ``data`` belongs a 0."""
    all_tags = {
        256: (4, SIZE[0]), 257: (4, SIZE[1]), 258: (3, 8), 259: (3, compression), 262: (3, 0), 277: (3, 1), **tags,
    }  # fmt: skip
    start = 8 + 2 + 12 * len(all_tags) + 4
    for offset_tag in (273, 324):
        if offset_tag in all_tags:
            all_tags[offset_tag] = (4, start)
    return _directory([(tag, kind, 1, value) for tag, (kind, value) in sorted(all_tags.items())]) + data


def _directory(entries: list[tuple[int, int, int, int]]) -> bytes:
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4)


class _Coded(NamedTuple):
    """What an AVIF of Pillow's has of a picture: its data, and the box that says how to decode them."""

    data: bytes
    settings: bytes

    @classmethod
    def of(cls, size: tuple[int, int]) -> Self:
        whole = odd.encoded(_white(size, "L"), "AVIF", speed=10)
        settings = whole.index(b"av1C") - 4
        return cls(whole[whole.index(b"mdat") + 4 :], whole[settings : settings + 12])


class _Item(NamedTuple):
    """Of an AVIF: which of the contents it is, and by their numbers, from 1, which properties it has."""

    kind: bytes
    content: int
    properties: bytes


def _avif(items: list[_Item], *, contents: list[bytes], properties: list[bytes], references: bytes) -> bytes:
    """The first item is the picture (ISO/IEC 23008-12)."""
    infos = [
        _box(b"infe", struct.pack(">IHH4sB", 2 << 24, number, 0, item.kind, 0)) for number, item in enumerate(items, 1)
    ]
    associated = [
        struct.pack(">HB", number, len(item.properties)) + item.properties for number, item in enumerate(items, 1)
    ]

    def boxes(start: int) -> bytes:
        starts = list(itertools.accumulate(map(len, contents), initial=start))
        places = [
            struct.pack(">HHHII", number, 0, 1, starts[item.content], len(contents[item.content]))
            for number, item in enumerate(items, 1)
        ]
        return _box(b"ftyp", b"avif\0\0\0\0avifmif1miaf") + _full(
            b"meta",
            _full(b"hdlr", bytes(4) + b"pict" + bytes(13))
            + _full(b"pitm", struct.pack(">H", 1))
            + _full(b"iloc", struct.pack(">HH", 0x4400, len(items)) + b"".join(places))
            + _full(b"iinf", struct.pack(">H", len(items)) + b"".join(infos))
            + _full(b"iref", references)
            + _box(
                b"iprp",
                _box(b"ipco", b"".join(properties))
                + _full(b"ipma", struct.pack(">I", len(items)) + b"".join(associated)),
            ),
        )

    return boxes(len(boxes(0)) + 8) + _box(b"mdat", b"".join(contents))


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _full(kind: bytes, content: bytes) -> bytes:
    """With a version and flags, all 0."""
    return _box(kind, bytes(4) + content)


def _size(size: tuple[int, int]) -> bytes:
    return _full(b"ispe", struct.pack(">II", *size))

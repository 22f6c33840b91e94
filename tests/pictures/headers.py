"""Pictures with headers that few programs write, and such as claim another size than what is in them."""

from __future__ import annotations

import struct
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

from tests.pictures import odd

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SIZE = (451, 300)
"""Width and height of what the makers without a size of their own give."""

_GIF_FRAME = b"," + struct.pack("<HHHH", 0, 0, *SIZE)
_SHORT, _LONG, _LONG8 = 3, 4, 16
_LAYOUTS = {_SHORT: "H", _LONG: "I", _LONG8: "Q"}

Entry = tuple[int, int, int]
"""Of a TIFF's directory: tag, type and value."""


def tiff(
    *, big: bool = False, order: str = "<", sides: Sequence[Entry] = ((256, _LONG, 451), (257, _LONG, 300))
) -> bytes:
    """Grey, not compressed, in one strip; ``sides`` says how the picture's size is stated."""
    grey = odd.photo().convert("L").tobytes()
    rest = [(258, _SHORT, 8), (259, _SHORT, 1), (262, _SHORT, 1), (277, _SHORT, 1), (279, _LONG, len(grey))]
    start = 16 if big else 8
    pixels = start + (16 + 20 * (len(sides) + 6) if big else 6 + 12 * (len(sides) + 6))
    entries = sorted([*sides, *rest, (273, _LONG, pixels)], key=lambda entry: entry[0])
    return _tiff_start(big=big, order=order) + _directory(entries, big=big, order=order) + grey


def big_tiff() -> bytes:
    """As programs write TIFFs that might grow beyond 4 GB."""
    return tiff(big=True)


def big_endian_big_tiff() -> bytes:
    return tiff(big=True, order=">")


def big_tiff_with_long_sides() -> bytes:
    """Sides of 8 bytes, which only a BigTIFF has."""
    return tiff(big=True, sides=[(256, _LONG8, 451), (257, _LONG8, 300)])


def tiff_with_two_widths() -> bytes:
    return tiff(sides=[(256, _LONG, 451), (256, _LONG, 9), (257, _LONG, 300)])


def tiff_with_huge_tiles(side: int = 30_000) -> bytes:
    """Of a picture of 16 x 16 pixels."""
    return tiff(sides=[(256, _LONG, 16), (257, _LONG, 16), (322, _LONG, side), (323, _LONG, side)])


def big_tiff_with_endless_entries() -> bytes:
    return _tiff_start(big=True, order="<") + struct.pack("<Q", 2**63) + bytes(100_000)


def big_tiff_with_overlapping_values() -> bytes:
    """A thousand entries, each of which claims the same megabyte of the file as its own."""
    sides = [(256, _LONG, 451), (257, _LONG, 300)]
    entries = _directory([*sides, *((tag, 7, 0) for tag in range(40_000, 41_000))], big=True, order="<")
    claims = entries.replace(struct.pack("<HQ", 7, 1), struct.pack("<HQ", 7, 1_000_000))
    return _tiff_start(big=True, order="<") + claims + bytes(1_000_000)


def avif_sequence() -> bytes:
    """An animation that is a film only: no box says what is in it as a still, and no brand says that there is one."""
    return _renamed(_renamed(_animated_avif(), b"meta"), b"avif", b"avis")


def avif_without_main_picture() -> bytes:
    """An animation whose boxes do not say which of its stills stands for it."""
    return _renamed(_animated_avif(), b"pitm")


def avif_with_notes_behind_its_pixels() -> bytes:
    """Its EXIF data are at the end of the file, as libheif and exiftool write them."""
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    image = bytearray(odd.encoded(odd.photo(), "AVIF", quality=80, exif=exif))
    notes = image.index(b"\0\0\0\6Exif")
    start = struct.pack(">I", notes)
    (length,) = struct.unpack_from(">I", image, image.index(start) + 4)
    struct.pack_into(">I", image, image.index(start), len(image) + 8)
    return bytes(image) + struct.pack(">I4s", 8 + length, b"mdat") + bytes(image[notes : notes + length])


def avif_that_calls_itself_small() -> bytes:
    """Its boxes say 9 x 9; its AV1 data are of 451 x 300."""
    return odd.avif().replace(b"ispe\0\0\0\0" + struct.pack(">II", *SIZE), b"ispe\0\0\0\0" + struct.pack(">II", 9, 9))


def avif_sequence_that_calls_itself_small() -> bytes:
    """Its boxes say 9 x 9; the AV1 data of its first frame are of 451 x 300."""
    image = avif_sequence()
    for layout in (">II", ">HH"):
        sides = [side << 16 if layout == ">II" else side for side in SIZE]
        image = image.replace(struct.pack(layout, *sides), struct.pack(layout, *(side // 33 for side in sides)))
    return image


def heic_whose_tiles_make_more_than_it_says() -> bytes:
    """Its boxes say that the whole has 9 x 9 pixels; what lists its tiles says 451 x 300."""
    return odd.tiled_heic().replace(struct.pack(">II", *SIZE), struct.pack(">II", 9, 9))


def avif_with_endless_tracks() -> bytes:
    """Whose boxes are nested six deep, so that a limit on those of one level would not help."""
    table = _box(b"mdia", _box(b"minf", _box(b"stbl", _box(b"free", b"") * 100 + _box(b"stsd", bytes(8)))))
    return _box(b"ftyp", b"avis\0\0\0\0avis") + _box(b"moov", _box(b"trak", table) * 20_000)


def avif_of_many_pictures_of_many_layers(pictures: int = 1_000) -> bytes:
    """Each of whose AV1 data describe 32 layers before they state their size, 9 x 9."""
    layers = "00000" + "0" + "1" + "11111" + ("0" * 12 + "01000" + "1" + "10000") * 32 + "0011" * 2 + "1000" * 2
    header = int(layers.ljust(-(-len(layers) // 8) * 8, "0"), 2).to_bytes(-(-len(layers) // 8))
    data = b"\x0a" + bytes([len(header)]) + header
    start = _box(b"ftyp", b"avif\0\0\0\0avif") + _box(b"mdat", data)
    places = b"".join(struct.pack(">HHHII", item, 0, 1, len(start) - len(data), len(data)) for item in range(pictures))
    infos = b"".join(_box(b"infe", struct.pack(">IHH4s", 2 << 24, item, 0, b"av01")) for item in range(pictures))
    contents = (
        _box(b"iloc", struct.pack(">IBBH", 0, 0x44, 0, pictures) + places),
        _box(b"iinf", struct.pack(">IH", 0, pictures) + infos),
        _box(b"iprp", _box(b"ipco", _box(b"ispe", struct.pack(">III", 0, 1, 1)))),
    )
    return start + _box(b"meta", bytes(4) + b"".join(contents))


def gif_with_a_frame_over_the_edge() -> bytes:
    """The screen is 100 x 100."""
    return odd.gif()[:6] + struct.pack("<HH", 100, 100) + odd.gif()[10:]


def gif_without_a_screen() -> bytes:
    return odd.gif()[:6] + bytes(4) + odd.gif()[10:]


def gif_with_long_notes() -> bytes:
    """100 kB of them before the frame, and a stray byte."""
    return _before_the_frame(b"!\xfe" + (b"\xff" + b"x" * 255) * 400 + b"\0" + b"\0")


def gif_with_endless_notes() -> bytes:
    return _before_the_frame(b"!\xfe" + b"\x01x" * 9_000_000 + b"\0")


def gif_with_endless_stray_bytes() -> bytes:
    return _before_the_frame(bytes(19_000_000))


def gif_without_a_frame() -> bytes:
    image = odd.gif()
    return image[: image.index(_GIF_FRAME)] + b";" + bytes(1_000)


def tiny_webp() -> bytes:
    """A file of 28 bytes, as small as encoders make them: 16 x 16 pixels, black, without loss."""
    sides = 15 | 15 << 14
    one_symbol_each = sum(0b0001 << 4 * code for code in range(5))  # of green, red, blue, alpha and distance: 0
    data = b"\x2f" + (sides | one_symbol_each << 35).to_bytes(7, "little")
    return struct.pack("<4sI4s4sI", b"RIFF", 12 + len(data), b"WEBP", b"VP8L", len(data)) + data


def jpeg_with_its_height_at_the_end() -> bytes:
    """Stated behind the first scan (ITU-T T.81, B.2.5), as scanners do that feed paper."""
    image = bytearray(odd.encoded(odd.photo(), "JPEG"))
    frame = image.index(b"\xff\xc0")
    (height,) = struct.unpack_from(">H", image, frame + 5)
    struct.pack_into(">H", image, frame + 5, 0)
    end = image.rindex(b"\xff\xd9")
    return bytes(image[:end]) + b"\xff\xdc" + struct.pack(">HH", 4, height) + bytes(image[end:])


def twelve_bit_jpeg() -> bytes:
    """Its header only: the data that follow are of 8 bits."""
    image = bytearray(odd.encoded(odd.photo(), "JPEG"))
    frame = image.index(b"\xff\xc0")
    image[frame + 1], image[frame + 4] = 0xC1, 12
    return bytes(image)


RARE = {
    make.__name__: make
    for make in (
        big_tiff, big_endian_big_tiff, big_tiff_with_long_sides, tiff_with_two_widths, avif_sequence,
        avif_without_main_picture, avif_with_notes_behind_its_pixels, gif_with_a_frame_over_the_edge,
        gif_without_a_screen, gif_with_long_notes,
    )
}  # fmt: skip
"""By name, the makers of sound pictures of 451 x 300."""

ENDLESS = {
    make.__name__: make
    for make in (
        big_tiff_with_endless_entries, big_tiff_with_overlapping_values, avif_with_endless_tracks,
        gif_with_endless_notes, gif_with_endless_stray_bytes,
    )
}  # fmt: skip
"""By name, the makers of headers that a reader without limits would be busy with; all are refused."""


def _tiff_start(*, big: bool, order: str) -> bytes:
    name = b"II" if order == "<" else b"MM"
    return name + (struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8))


def _directory(entries: Iterable[Entry], *, big: bool, order: str) -> bytes:
    entries = list(entries)
    content = struct.pack(order + ("Q" if big else "H"), len(entries))
    for tag, kind, value in entries:
        inline = struct.pack(order + _LAYOUTS.get(kind, "I"), value)
        content += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, 1) + inline.ljust(8 if big else 4, b"\0")
    return content + bytes(8 if big else 4)


@cache
def _animated_avif() -> bytes:
    file = BytesIO()
    odd.photo().save(file, "AVIF", save_all=True, append_images=[Image.new("RGB", SIZE)], quality=80)
    return file.getvalue()


def _renamed(image: bytes, kind: bytes, new: bytes = b"free") -> bytes:
    """With the box or brand of another name, by default one that readers skip; nothing that follows moves."""
    return image.replace(kind, new, 1)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _before_the_frame(blocks: bytes) -> bytes:
    image = odd.gif()
    frame = image.index(_GIF_FRAME)
    return image[:frame] + blocks + image[frame:]

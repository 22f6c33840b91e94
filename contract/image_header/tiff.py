"""What the first directory of a TIFF or a BigTIFF says (TIFF 6.0, section 2; BigTIFF as libtiff defines it)."""

from __future__ import annotations

from typing import NamedTuple

from contract.image_header.header import BrokenHeader, Size, UnsupportedHeader, unpack

# As many as libtiff reads.
MAX_ENTRIES = 4_096

_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
_SIDES = {_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT}
_LAYOUTS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}  # whole numbers' types
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


class _Layout(NamedTuple):
    directory: tuple[int, str]
    """Where the file says where its directory is, and how."""
    entries: str
    entries_bytes: int
    entry: str
    """Tag, type and number of values; the values follow, or where they are."""
    entry_bytes: int
    value_bytes: int


_CLASSIC = _Layout((4, "I"), "H", 2, "HHI", 12, 4)
_BIG = _Layout((8, "Q"), "Q", 8, "HHQ", 20, 8)


def read_size(image: bytes) -> Size:
    """The size of the file's first picture.

    Raises:
        BrokenHeader: the first directory has no size, too many entries, or entries that claim more bytes than the file
            has. libtiff copies each entry's value, so entries that share their bytes turn 20 MB into 40 GB.
    """
    sides = _sides(image)
    return Size(sides[_WIDTH], sides[_HEIGHT])


def largest_size(image: bytes) -> Size:
    """The larger of the first picture and its tiles, each of which is decoded whole.

    Raises:
        BrokenHeader: as ``read_size`` does.
    """
    sides = _sides(image)
    whole, tile = Size(sides[_WIDTH], sides[_HEIGHT]), Size(sides.get(_TILE_WIDTH, 0), sides.get(_TILE_HEIGHT, 0))
    return max(whole, tile, key=lambda size: size.pixels)


def _sides(image: bytes) -> dict[int, int]:
    """By tag, the sides of the picture and of its tiles. Of two entries with the same tag, decoders take the first."""
    order = "<" if image.startswith(b"II") else ">"
    layout = _BIG if b"+" in image[:4] else _CLASSIC
    (directory,) = unpack(order + layout.directory[1], image, layout.directory[0])
    (count,) = unpack(order + layout.entries, image, directory)
    if count > MAX_ENTRIES:
        raise UnsupportedHeader(f"a TIFF whose directory has {count} entries is not supported; {MAX_ENTRIES} are read")
    sides: dict[int, int] = {}
    claimed = 0
    first = directory + layout.entries_bytes
    for start in range(first, first + count * layout.entry_bytes, layout.entry_bytes):
        tag, kind, values = unpack(order + layout.entry, image, start)
        value_bytes = values * _BYTES.get(kind, 1)
        claimed += value_bytes
        if values and tag in _SIDES and tag not in sides and kind in _LAYOUTS:
            position = start + layout.entry_bytes - layout.value_bytes
            if value_bytes > layout.value_bytes:
                (position,) = unpack(order + layout.directory[1], image, position)
            (sides[tag],) = unpack(order + _LAYOUTS[kind], image, position)
    if claimed > len(image):
        raise BrokenHeader("the picture is damaged: the TIFF's directory claims more bytes than the file has")
    if not {_WIDTH, _HEIGHT} <= sides.keys():
        raise BrokenHeader("the picture is damaged: the TIFF's directory states no size")
    return sides

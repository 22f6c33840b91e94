"""What a TIFF's first directory says (TIFF 6.0, section 2)."""

from __future__ import annotations

from contract.image_header.header import BrokenHeader, Size, unpack

# As many as libtiff reads.
MAX_ENTRIES = 4_096

_WIDTH, _HEIGHT = 256, 257
_LAYOUTS = {1: "B", 3: "H", 4: "I"}  # types of whole numbers
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


def read_size(image: bytes) -> Size:
    """The size of the file's first picture.

    Raises:
        BrokenHeader: the first directory has no size, too many entries, or entries that claim more bytes than the file
            has. libtiff copies each entry's value, so entries that share their bytes turn 20 MB into 40 GB.
    """
    order = "<" if image.startswith(b"II") else ">"
    (directory,) = unpack(order + "I", image, 4)
    (count,) = unpack(order + "H", image, directory)
    if count > MAX_ENTRIES:
        raise BrokenHeader(f"the TIFF's directory has {count} entries; {MAX_ENTRIES} are read")
    sides: dict[int, int] = {}
    claimed = 0
    for entry in range(count):
        tag, kind, values = unpack(order + "HHI", image, directory + 2 + 12 * entry)
        claimed += values * _BYTES.get(kind, 1)
        if tag in {_WIDTH, _HEIGHT} and kind in _LAYOUTS:
            (sides[tag],) = unpack(order + _LAYOUTS[kind], image, directory + 2 + 12 * entry + 8)
    if claimed > len(image):
        raise BrokenHeader("the TIFF's directory claims more bytes than the file has")
    if sides.keys() != {_WIDTH, _HEIGHT}:
        raise BrokenHeader("the TIFF's directory states no size")
    return Size(sides[_WIDTH], sides[_HEIGHT])

"""Which way up a picture is, by its EXIF data and its XMP; no decoder is needed.

What browsers heed was tried (Chromium 156, Firefox 153): EXIF's number as one SHORT of the first directory, of the
first such data, in either byte order. What they ignore and photo programs heed counts here as well, where EXIF does not
say otherwise: the same number as a LONG, and XMP (docs/decisions/0029).
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from contract.image_header.header import Size
from model.opencv import cv2

if TYPE_CHECKING:
    from cv2.typing import MatLike

AS_IT_LIES = 1

_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ENTRY = "HHI4s"  # tag, type, count and value
_TAG = 0x0112  # EXIF 2.32, 4.6.4
_TYPES = {3: "H", 4: "I"}  # SHORT and LONG
_NUMBERS = range(1, 9)
_IN_XMP = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|\s*>)\s*([1-8])\b""")

_LYING = {5, 6, 7, 8}  # rows are columns
# Where row 0 and column 0 of the stored picture lie: a flip puts them top left.
_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}


def way_up(exif: bytes, xmp: bytes) -> int:
    """EXIF's number, 1 to 8; 1 where nothing says otherwise, or only damaged data do.

    Args:
        exif: a TIFF header and what follows it.
        xmp: a packet, which is only searched.
    """
    number = _number(exif)
    if number is None and (found := _IN_XMP.search(xmp)):
        number = int(found[1])
    return number if number is not None and number in _NUMBERS else AS_IT_LIES


def turned(pixels: MatLike, orientation: int) -> MatLike:
    """Undo what the camera did, by EXIF's number: 5 to 8 are 1 to 4 with rows and columns exchanged first."""
    if orientation in _LYING:
        pixels = cv2.transpose(pixels)
    return cv2.flip(pixels, _FLIPS[orientation]) if orientation in _FLIPS else pixels


def turned_size(size: Size, orientation: int) -> Size:
    """The size of what ``turned`` makes of a picture of this size."""
    return Size(size.height, size.width) if orientation in _LYING else size


def _number(exif: bytes) -> int | None:
    """Of several in one directory the first, as in Chromium."""
    order = _ORDERS.get(exif[:4])
    if order is None:
        return None
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (promised,) = struct.unpack_from(order + "H", exif, directory)
    except struct.error:
        return None
    entry, start = struct.Struct(order + _ENTRY), directory + 2
    there = min(promised, (len(exif) - start) // entry.size)
    for tag, kind, count, value in entry.iter_unpack(exif[start : start + there * entry.size]):
        if tag == _TAG and kind in _TYPES and count == 1:
            (number,) = struct.unpack_from(order + _TYPES[kind], value)
            return int(number)
    return None

"""What a PNG's chunks say before anything is decoded (PNG specification, section 5)."""

from __future__ import annotations

import struct

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_HEADER = struct.Struct(">I4s")  # length of the data, and the chunk's type
_CHECKSUM_BYTES = 4


def is_whole(image: bytes) -> bool:
    """Whether the chunks up to the end chunk lie within the file.

    OpenCV sets memory aside for as much data as a chunk promises, up to 4 GB, before it looks whether it is there.
    """
    position = len(SIGNATURE)
    while position + _HEADER.size <= len(image):
        length: int
        length, kind = _HEADER.unpack_from(image, position)
        position += _HEADER.size + length + _CHECKSUM_BYTES
        if kind == b"IEND":
            return position <= len(image)
    return False

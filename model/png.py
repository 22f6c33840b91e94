"""A PNG's chunks, before anything is decoded (PNG specification, sections 5 and 11)."""

from __future__ import annotations

import struct

from model.errors import UndecodableImage

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# 20 MB in chunks of 2 kB; libpng writes chunks of 8 kB.
MAX_CHUNKS = 10_000

_HEADER = struct.Struct(">I4s")  # length of the data, and the chunk's type
_CHECKSUM_BYTES = 4
_DATA, _END = b"IDAT", b"IEND"
_ONCE = {b"IHDR", b"PLTE", b"tRNS", b"eXIf", _END}


def only_pixels(image: bytes) -> bytes:
    """The PNG with nothing but what its first picture is made of, and its EXIF data.

    Texts and colour profiles change no pixel here, but libpng inflates them, to a thousand times their size, and
    complains about them on standard error, a line each.

    Raises:
        UndecodableImage: a chunk reaches past the file's end, or there are more than ``MAX_CHUNKS``. OpenCV sets memory
            aside for as much data as a chunk promises, up to 4 GB, before it looks whether it is there.
    """
    view, position = memoryview(image), len(SIGNATURE)
    kept, seen = [view[:position]], set()
    for _ in range(MAX_CHUNKS):
        start = position
        if start + _HEADER.size > len(image):
            break
        length: int
        kind: bytes
        length, kind = _HEADER.unpack_from(image, start)
        position += _HEADER.size + length + _CHECKSUM_BYTES
        if position > len(image):
            break
        if kind == _DATA or (kind in _ONCE and kind not in seen):
            kept.append(view[start:position])
            seen.add(kind)
        if kind == _END:
            return b"".join(kept)
    else:
        raise UndecodableImage(f"the PNG has more than {MAX_CHUNKS} chunks")
    raise UndecodableImage("the PNG is cut short")

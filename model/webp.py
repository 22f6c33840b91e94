"""Which WebPs are ordinary: one opaque picture, with no metadata (WebP container specification; RFC 9649)."""

from __future__ import annotations

import struct

_KIND, _LENGTH, _LOSSLESS_HEADER = slice(12, 16), slice(16, 20), slice(21, 25)
_HEADER_BYTES = 20  # the file's and the first chunk's
_ALPHA_IS_USED = 1 << 28
_SHORTEST = 32  # bytes that OpenCV takes; a lossless picture of one colour has fewer


def ordinary(image: bytes) -> bytes | None:
    """The WebP as OpenCV reads it rightly, or None if it is not ordinary. ``image`` has a WebP's signature.

    What follows the picture's chunk is left out, and the file's length says so: OpenCV would read it as a part of that.
    """
    kind, (length,) = image[_KIND], struct.unpack("<I", image[_LENGTH].ljust(4, b"\0"))
    if kind == b"VP8L":
        transparent = int.from_bytes(image[_LOSSLESS_HEADER], "little") & _ALPHA_IS_USED
    else:
        transparent = kind != b"VP8 "
    end = _HEADER_BYTES + length + length % 2
    if transparent or len(image) < _SHORTEST or end < _SHORTEST:
        return None
    return image if end >= len(image) else image[:4] + struct.pack("<I", end - 8) + image[8:end]

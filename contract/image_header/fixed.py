"""Formats with the size at a fixed position: PNG, BMP and WebP."""

from __future__ import annotations

from contract.image_header.header import BrokenHeader, Size, UnsupportedHeader, unpack

_BMP_CORE_HEADER_BYTES = 12
_BMP_SHORTEST_LONG_HEADER_BYTES = 16  # OS/2 2.x; those of Windows have 40 and more
_PNG_HEADER_BYTES = 13


def read_png_size(image: bytes) -> Size:
    """From the chunk that must come first (PNG specification, 11.2.1)."""
    length, kind, width, height = unpack(">I4sII", image, 8)
    if (length, kind) != (_PNG_HEADER_BYTES, b"IHDR"):
        raise BrokenHeader("the picture is damaged: the PNG does not start with its header")
    return Size(width, height)


def read_bmp_size(image: bytes) -> Size:
    """From either kind of bitmap header; a height below zero says that the rows run from top to bottom."""
    (header_bytes,) = unpack("<I", image, 14)
    if header_bytes == _BMP_CORE_HEADER_BYTES:
        return Size(*unpack("<HH", image, 18))
    if header_bytes < _BMP_SHORTEST_LONG_HEADER_BYTES:
        raise UnsupportedHeader(f"a BMP with a header of {header_bytes} bytes is not supported")
    width, height = unpack("<ii", image, 18)
    return Size(width, abs(height))


def read_webp_size(image: bytes) -> Size:
    """From the first chunk, which is of one of three kinds (WebP container specification; RFC 6386, 9.1)."""
    (kind,) = unpack("4s", image, 12)
    if kind == b"VP8X":
        width, width_high, height, height_high = unpack("<HBHB", image, 24)
        return Size((width_high << 16 | width) + 1, (height_high << 16 | height) + 1)
    if kind == b"VP8L":
        (bits,) = unpack("<I", image, 21)  # 14 bits each, after the signature
        return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 ":
        width, height = unpack("<HH", image, 26)  # 14 bits each; the upper two ask for enlargement
        return Size(width & 0x3FFF, height & 0x3FFF)
    raise BrokenHeader("the picture is damaged: the WebP does not start with a picture")

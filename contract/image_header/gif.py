"""What a GIF says before the data of its first frame (GIF89a)."""

from __future__ import annotations

from contract.image_header.header import BrokenHeader, Size, UnsupportedHeader, unpack

# Blocks of notes, profiles and the like before the first frame, each of up to 255 bytes: 2.5 MB.
MAX_BLOCKS = 10_000

_SCREEN_BYTES = 13  # with the signature (18)
_EXTENSION, _FRAME, _TRAILER = b"!,;"


def read_size(image: bytes) -> Size:
    """The logical screen or, if the first frame reaches over its edges, what holds both: that much may be decoded.

    Raises:
        BrokenHeader: there is no frame, or there are too many blocks before it.
    """
    width, height = unpack("<HH", image, 6)
    left, top, frame_width, frame_height = unpack("<HHHH", image, _first_frame(image) + 1)
    return Size(max(width, left + frame_width), max(height, top + frame_height))


def _first_frame(image: bytes) -> int:
    """The position of the first frame's descriptor. Stray bytes between blocks are skipped, as decoders do."""
    (flags,) = unpack("B", image, 10)
    position = _SCREEN_BYTES + (3 << (flags & 7) + 1 if flags & 0x80 else 0)  # behind the colour table
    in_extension = False
    for _ in range(MAX_BLOCKS):
        (first,) = unpack("B", image, position)
        if in_extension:
            position += 1 + first
            in_extension = first > 0
        elif first == _FRAME:
            return position
        elif first == _TRAILER:
            raise BrokenHeader("the picture is damaged: the GIF has no frame")
        else:
            in_extension = first == _EXTENSION
            position += 2 if in_extension else 1
    raise UnsupportedHeader(f"a GIF with more than {MAX_BLOCKS} blocks before its first frame is not supported")

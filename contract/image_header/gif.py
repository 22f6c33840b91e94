"""What a GIF says before the data of its first frame (GIF89a)."""

from __future__ import annotations

from typing import NamedTuple

from contract.image_header.header import BrokenHeader, Size, UnsupportedHeader, unpack

# Blocks of notes, profiles and the like before the first frame, each of up to 255 bytes: 2.5 MB.
MAX_BLOCKS = 10_000

SCREEN_BYTES = 13  # with the signature (18)
_DESCRIPTOR_BYTES = 10  # of a frame (20)
_EXTENSION, _FRAME, _TRAILER = b"!,;"
_GRAPHIC_CONTROL = b"\xf9"


class FirstFrame(NamedTuple):
    """Where in the file stand its descriptor and, if there is one, the last graphic control extension before it."""

    position: int
    control: int | None


def read_size(image: bytes) -> Size:
    """The logical screen or, if the first frame reaches over its edges, what holds both: that much may be decoded.

    Raises:
        BrokenHeader, UnsupportedHeader: as ``first_frame`` does.
    """
    width, height = unpack("<HH", image, 6)
    left, top, frame_width, frame_height = unpack("<HHHH", image, first_frame(image).position + 1)
    return Size(max(width, left + frame_width), max(height, top + frame_height))


def is_animated(image: bytes) -> bool:
    """Whether a second frame follows the first.

    Of a first frame of more than ``MAX_BLOCKS`` blocks (2.5 MB) that is not found out, and the answer is no.

    Raises:
        BrokenHeader, UnsupportedHeader: as ``first_frame`` does, and if its descriptor is cut short.
    """
    position = first_frame(image).position
    (flags,) = unpack("B", image, position + _DESCRIPTOR_BYTES - 1)
    position += _DESCRIPTOR_BYTES + table_bytes(flags) + 1  # and a byte that says how its pixels are packed
    in_blocks = True
    for _ in range(MAX_BLOCKS):
        if position >= len(image):
            return False
        first = image[position]
        if in_blocks:
            position += 1 + first
            in_blocks = first > 0
        elif first == _FRAME:
            return True
        elif first == _TRAILER:
            return False
        elif first == _EXTENSION:
            in_blocks, position = True, position + 2
        else:
            position += 1
    return False


def table_bytes(flags: int) -> int:
    """Of a table of colours, by the flags of the screen or frame that it belongs to; 0 if there is none."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def first_frame(image: bytes) -> FirstFrame:
    """Find the first frame. Stray bytes between blocks are skipped, as decoders do.

    Raises:
        BrokenHeader: there is none.
        UnsupportedHeader: there are more blocks before it than are read.
    """
    (flags,) = unpack("B", image, 10)
    position, control = SCREEN_BYTES + table_bytes(flags), None
    in_extension = False
    for _ in range(MAX_BLOCKS):
        (first,) = unpack("B", image, position)
        if in_extension:
            position += 1 + first
            in_extension = first > 0
        elif first == _FRAME:
            return FirstFrame(position, control)
        elif first == _TRAILER:
            raise BrokenHeader("the picture is damaged: the GIF has no frame")
        elif first == _EXTENSION:
            if image[position + 1 : position + 2] == _GRAPHIC_CONTROL:
                control = position
            in_extension, position = True, position + 2
        else:
            position += 1
    raise UnsupportedHeader(f"a GIF with more than {MAX_BLOCKS} blocks before its first frame is not supported")

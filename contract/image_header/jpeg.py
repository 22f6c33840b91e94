"""What a JPEG's markers say (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from contract.image_header.header import BrokenHeader, Size, UnsupportedHeader, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

# A file of 20 MB whose metadata fill their segments of 64 kB has 320; a progressive photo has 24.
MAX_SEGMENTS = 2_000

# Between segments there are at most a few fill bytes; decoders skip anything else they find there.
MAX_STRAY_BYTES = 1_024

_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)  # 00 follows a data byte of ff, ff is a fill byte
_AFTER_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)  # d0 to d7: restart points within a scan
_START_OF_IMAGE_BYTES = 2
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_STANDALONE = {0x01, *range(0xD0, 0xDA)}  # have no length
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # those three are tables and an extension


class Frame(NamedTuple):
    """What the first picture's frame header says (B.2.2)."""

    marker: int
    """How it is coded: 0xc0 and 0xc1 in one pass, 0xc2 progressively, each with Huffman's codes; 0xc9 and 0xca the
    same with arithmetic coding; the others without loss, or in steps of resolution."""
    precision: int
    """Bits a sample: 8 or 12, or what a lossless coding likes."""
    size: Size
    """Its height is 0 if it stands behind the first scan (B.2.5)."""
    components: int


def read_frame(image: bytes) -> Frame:
    """The frame header of the file's first picture.

    Raises:
        BrokenHeader: there is none among the first segments.
    """
    for marker, position in segments(image):
        if marker in _START_OF_FRAME:
            precision, height, width, components = unpack(">BHHB", image, position + 2)
            return Frame(marker, precision, Size(width, height), components)
        if marker == _START_OF_SCAN:
            break
    raise BrokenHeader("the picture is damaged: the JPEG has no frame header")


def read_size(image: bytes) -> Size:
    """The size of the file's first picture.

    Raises:
        BrokenHeader: no frame header among the first segments, or one without a height.
    """
    size = read_frame(image).size
    if not size.height:
        raise UnsupportedHeader("a JPEG whose height stands behind its first scan is not supported")
    return size


def segments(image: bytes) -> Iterator[tuple[int, int]]:
    """Each marker of the first picture, and the position of its segment's length."""
    position, pattern, end = _START_OF_IMAGE_BYTES, _MARKER, _START_OF_IMAGE_BYTES + MAX_STRAY_BYTES
    for _ in range(MAX_SEGMENTS):
        match = pattern.search(image, position, end)
        if match is None or match[1][0] == _END_OF_IMAGE:
            return
        marker, position = match[1][0], match.end()
        yield marker, position
        if marker not in _STANDALONE:
            position += int.from_bytes(image[position : position + 2])
        if marker == _START_OF_SCAN:
            pattern, end = _AFTER_SCAN, len(image)
        else:
            pattern, end = _MARKER, position + MAX_STRAY_BYTES
    raise UnsupportedHeader(f"a JPEG of more than {MAX_SEGMENTS} segments is not supported")

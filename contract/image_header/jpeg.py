"""What a JPEG's markers say (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from contract.image_header.header import BrokenHeader, Size, unpack

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


def read_size(image: bytes) -> Size:
    """The size of the file's first picture.

    Raises:
        BrokenHeader: no frame header among the first segments.
    """
    for marker, position in _segments(image):
        if marker in _START_OF_FRAME:
            height, width = unpack(">HH", image, position + 3)
            return Size(width, height)
    raise BrokenHeader("the JPEG has no frame header")


def count_scans(image: bytes) -> int:
    """The number of passes over the file's first picture; what follows that picture's end is ignored.

    Raises:
        BrokenHeader: too many segments.
    """
    return sum(marker == _START_OF_SCAN for marker, _ in _segments(image))


def _segments(image: bytes) -> Iterator[tuple[int, int]]:
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
    raise BrokenHeader(f"the JPEG has more than {MAX_SEGMENTS} segments")

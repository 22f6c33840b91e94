"""What a JPEG's markers say before anything is decoded (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

START_OF_IMAGE = b"\xff\xd8"

_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)  # 00 follows a data byte of ff, ff is filling
_AFTER_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)  # d0 to d7: restart points within a scan
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_STANDALONE = {0x01, *range(0xD0, 0xDA)}  # carry no length
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # those three are tables and an extension


class JpegFrame(NamedTuple):
    """Pixels as stored, before any EXIF turn; and how many passes over them the file makes."""

    width: int
    height: int
    scans: int


def read_frame(image: bytes) -> JpegFrame | None:
    """Size and scans of the first picture in the file, whatever follows its end; None where it has no frame header."""
    size: tuple[int, int] | None = None
    scans, position, pattern = 0, len(START_OF_IMAGE), _MARKER
    while match := pattern.search(image, position):
        marker, position, pattern = match[1][0], match.end(), _MARKER
        if marker == _END_OF_IMAGE:
            break
        if marker in _STANDALONE:
            continue
        if marker in _START_OF_FRAME and size is None:
            frame = image[position + 3 : position + 7]
            if len(frame) < struct.calcsize(">HH"):
                return None
            height, width = struct.unpack(">HH", frame)
            size = width, height
        if marker == _START_OF_SCAN:
            scans += 1
            pattern = _AFTER_SCAN
        position += int.from_bytes(image[position : position + 2])
    return JpegFrame(*size, scans) if size else None

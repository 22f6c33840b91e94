"""Shared by the readers of all formats."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple


class BrokenHeader(Exception):
    """The header can't be read, or would take too long to read; the message says why, for the sender."""


class Size(NamedTuple):
    """In pixels, as stored: before any EXIF turn."""

    width: int
    height: int


def unpack(layout: str, data: bytes, position: int) -> tuple[Any, ...]:
    """``struct.unpack_from`` for bytes that may not be there.

    Raises:
        BrokenHeader: ``data`` is too short.
    """
    try:
        return struct.unpack_from(layout, data, position)
    except struct.error as error:
        raise BrokenHeader("the picture's header is cut short") from error

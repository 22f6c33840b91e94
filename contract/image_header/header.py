"""Shared by the readers of all formats."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple


class BrokenHeader(Exception):
    """The header can't be read; the message says why, for the sender."""


class UnsupportedHeader(BrokenHeader):
    """The picture may be sound, but is of a kind that is not read, or has more parts than are read."""


class Size(NamedTuple):
    """In pixels, as stored: before any EXIF turn."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height


def unpack(layout: str, data: bytes, position: int) -> tuple[Any, ...]:
    """``struct.unpack_from`` for bytes that may not be there.

    Raises:
        BrokenHeader: ``data`` is too short.
    """
    try:
        return struct.unpack_from(layout, data, position)
    except (struct.error, OverflowError) as error:  # the latter: a position of more than 63 bits
        raise BrokenHeader("the picture is damaged: its header is cut short") from error

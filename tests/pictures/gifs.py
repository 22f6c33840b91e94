"""GIFs put together block by block (GIF89a specification)."""

from __future__ import annotations

import struct

COLOURS = bytes([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 0]) + bytes(3 * 252)
"""A table whose first colours are red, green, blue and yellow."""

RED, GREEN, BLUE, YELLOW = range(4)

_CLEAR, _END = 256, 257
_CODE_BITS = 9  # enough for all indices, if the table of strings is cleared before it grows past them
_CLEAR_EVERY = 200


def gif(width: int, height: int, *blocks: bytes, background: int = 0, table: bytes = COLOURS) -> bytes:
    """Screen, colours and ``blocks``; without a trailer, which is ``TRAILER``."""
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF7, background, 0) + table + b"".join(blocks)


TRAILER = b";"


def frame(indices: list[list[int]], left: int = 0, top: int = 0) -> bytes:
    width, height = len(indices[0]), len(indices)
    return framed(width, height, coded([index for row in indices for index in row]), left, top)


def framed(width: int, height: int, data: bytes, left: int = 0, top: int = 0) -> bytes:
    """A picture whose ``data`` need not fit."""
    return b"," + struct.pack("<HHHHB", left, top, width, height, 0) + data


def control(transparent: int, *, disposal: int = 0) -> bytes:
    """Before a frame: which index is transparent in it, and what becomes of it before the next one."""
    return b"!\xf9\x04" + bytes([disposal << 2 | 1, 0, 0, transparent]) + b"\0"


def coded(indices: list[int]) -> bytes:
    """As codes of equal length, in blocks."""
    codes: list[int] = []
    for position, index in enumerate(indices):
        codes += [_CLEAR, index] if position % _CLEAR_EVERY == 0 else [index]
    bits = "".join(f"{code:09b}"[::-1] for code in [*codes, _END])
    packed = bytes(int(bits[start : start + 8][::-1], 2) for start in range(0, len(bits), 8))
    blocks = [packed[start : start + 255] for start in range(0, len(packed), 255)]
    return bytes([_CODE_BITS - 1]) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"

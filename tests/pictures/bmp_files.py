"""BMPs of any header and layout, written by Microsoft's and OS/2's descriptions, independently of what reads them."""

from __future__ import annotations

import struct
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RGB, RLE8, RLE4, BITFIELDS, ALPHA_BITFIELDS = 0, 1, 2, 3, 6
_CORE, _INFO, _VERSION_5 = 12, 40, 124


def bmp(
    numbers: NDArray[Any],
    bits: int,
    *,
    header: int = _INFO,
    compression: int = RGB,
    palette: NDArray[np.uint8] | None = None,
    masks: tuple[int, ...] = (),
    top_down: bool = False,
    data: bytes | None = None,
    profile: bytes = b"",
) -> bytes:
    """Numbers of colours or pixels, shape (height, width), the upper row first, as a file.

    Args:
        header: its length in bytes.
        palette: colours as red, green, blue, shape (colours, 3).
        masks: of red, green, blue, and of transparency or not, for a compression by masks.
        data: instead of ``numbers``, of which then only the shape counts: packed already, the lowest row first.
        profile: a colour profile, behind the pixels; for a header of 124 bytes.
    """
    height, width = numbers.shape
    colours = np.zeros((0, 3), np.uint8) if palette is None else palette
    entry = 3 if header == _CORE else 4
    table = np.zeros((len(colours), entry), np.uint8)
    table[:, :3] = colours[:, ::-1]
    if data is None:
        data = b"".join(_row(row, bits) for row in (numbers if top_down else numbers[::-1]))
    own_masks = header == _INFO and bool(masks)
    start = 14 + header + (4 * len(masks) if own_masks else 0) + table.size
    if header == _CORE:
        fields = struct.pack("<IHHHH", header, width, height, 1, bits)
    else:
        first = struct.pack(
            "<IiiHHIIiiII",
            header, width, -height if top_down else height, 1, bits, compression, len(data), 0, 0, len(colours), 0,
        ) + struct.pack(f"<{len(masks)}I", *masks)  # fmt: skip
        whole = bytearray(first.ljust(_VERSION_5, b"\0"))
        struct.pack_into("<I", whole, 56, int.from_bytes(b"MBED" if profile else b"sRGB"))
        struct.pack_into("<II", whole, 112, start - 14 + len(data), len(profile))
        fields = bytes(whole[:header])
        if own_masks:
            fields = bytes(whole[: header + 4 * len(masks)])
    size = start + len(data) + len(profile)
    return b"BM" + struct.pack("<IHHI", size, 0, 0, start) + fields + table.tobytes() + data + profile


def words(channels: NDArray[np.uint8], masks: tuple[int, ...]) -> NDArray[np.uint32]:
    """Pixels with a channel of 8 bits for each mask → numbers that have the channels where the masks are."""
    numbers = np.zeros(channels.shape[:2], np.uint64)
    for number, mask in enumerate(masks):
        if mask:
            lowest = mask & -mask
            top = mask // lowest
            numbers |= (channels[..., number].astype(np.uint64) * top + 127) // 255 * lowest
    return numbers.astype(np.uint32)


def shown(channels: NDArray[np.uint8], masks: tuple[int, ...]) -> NDArray[np.uint8]:
    """What is left of the channels with as many bits as the masks have."""
    tops = np.array([max(1, mask // (mask & -mask)) if mask else 1 for mask in masks], np.float64)
    left = np.rint(np.rint(channels / 255 * tops) / tops * 255).astype(np.uint8)
    return np.where([bool(mask) for mask in masks], left, 0).astype(np.uint8)


def runs(numbers: NDArray[np.uint8], bits: int, *, whole_rows: bool = False, literal: bool = True) -> bytes:
    """Run lengths, shape (height, width), the upper row first.

    Args:
        whole_rows: whether the padding of a row to 32 bits is packed with it, as some programs do.
        literal: whether single colours are put together as they are, which pads them to 16 bits.
    """
    packed = b""
    for row in numbers[::-1].tolist():
        padding = -len(row) * bits % 32 // bits if whole_rows else 0
        packed += _literal_row(row + [0] * padding, bits) if literal else _run_row(row + [0] * padding, bits)
        packed += b"\0\0"
    return packed + b"\0\1"


def _literal_row(row: list[int], bits: int) -> bytes:
    """Long runs as runs, and what lies between them as it is."""
    packed, waiting = b"", []
    for colour, same in groupby(row):
        length = len(list(same))
        if length < 4:
            waiting += [colour] * length
            continue
        packed += _literal(waiting, bits) + _run_row([colour] * length, bits)
        waiting = []
    return packed + _literal(waiting, bits)


def _literal(colours: list[int], bits: int) -> bytes:
    packed = b""
    for start in range(0, len(colours), 255):
        part = colours[start : start + 255]
        if len(part) < 3:  # smaller counts are escapes
            packed += _run_row(part, bits)
            continue
        pairs = [*part, 0][: len(part) + len(part) % 2]
        raw = bytes(part) if bits == 8 else bytes(a << 4 | b for a, b in zip(pairs[::2], pairs[1::2], strict=True))
        packed += bytes([0, len(part)]) + raw + b"\0" * (len(raw) % 2)
    return packed


def _run_row(row: list[int], bits: int) -> bytes:
    packed = b""
    for colour, same in groupby(row):
        length = len(list(same))
        while length:
            packed += bytes([min(length, 255), colour if bits == 8 else colour << 4 | colour])
            length -= min(length, 255)
    return packed


def _row(row: NDArray[Any], bits: int) -> bytes:
    if bits < 8:
        digits = (row[:, None] >> np.arange(bits - 1, -1, -1)) & 1
        packed = np.packbits(digits.astype(np.uint8).ravel()).tobytes()
    else:
        packed = row.astype("<u4").view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()
    return packed.ljust(-(-len(row) * bits // 32) * 4, b"\0")

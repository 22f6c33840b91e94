"""TIFFs of any layout, written by TIFF 6.0 and the notes on BigTIFF, independently of what reads them."""

from __future__ import annotations

import lzma
import struct
import zlib
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

GREY, RGB, CIELAB = 1, 2, 8

_KINDS = {"u": 1, "i": 2, "f": 3}
_TYPES = {"B": (1, "B"), "H": (3, "H"), "I": (4, "I"), "Q": (16, "Q"), "undefined": (7, "B"), "ascii": (2, "B")}


class Tag(NamedTuple):
    """A type, as ``struct`` calls it, and values."""

    kind: str
    values: list[int]


def tiff(
    pixels: NDArray[Any],
    photometric: int,
    *,
    bits: int | None = None,
    order: Literal["<", ">"] = "<",
    big: bool = False,
    planar: bool = False,
    tile: tuple[int, int] | None = None,
    rows_per_strip: int | None = None,
    compression: str = "none",
    predictor: int = 1,
    fill_order: int = 1,
    extra: list[int] | None = None,
    tags: dict[int, Tag | None] | None = None,
) -> bytes:
    """Pixels of shape (height, width, channels), of any type, as a file.

    Args:
        bits: of each sample, if not all of its type.
        tile: width and height; without it, the picture lies in strips.
        tags: more of them, or others; None leaves one out.
    """
    height, width, channels = pixels.shape
    bits = bits or pixels.dtype.itemsize * 8
    number, compress = _COMPRESSIONS[compression]
    part_width, part_height = tile or (width, rows_per_strip or height)
    data = []
    for plane in np.split(pixels, channels, axis=-1) if planar else [pixels]:
        for top in range(0, height, part_height):
            for left in range(0, width, part_width):
                part = plane[top : top + part_height, left : left + part_width]
                if tile:
                    below, right = part_height - part.shape[0], part_width - part.shape[1]
                    part = np.pad(part, ((0, below), (0, right), (0, 0)), mode="edge")
                data.append(compress(_reversed(_encoded(part, bits, order, predictor), fill_order)))
    entries: dict[int, Tag | None] = {
        256: Tag("I", [width]),
        257: Tag("I", [height]),
        258: Tag("H", [bits] * channels),
        259: Tag("H", [number]),
        262: Tag("H", [photometric]),
        266: Tag("H", [fill_order]),
        277: Tag("H", [channels]),
        284: Tag("H", [2 if planar else 1]),
        317: Tag("H", [predictor]),
        339: Tag("H", [_KINDS[pixels.dtype.kind]] * channels),
    }
    if tile:
        entries |= {322: Tag("I", [part_width]), 323: Tag("I", [part_height])}
    else:
        entries |= {278: Tag("I", [part_height])}
    if extra is not None:
        entries |= {338: Tag("H", extra)}
    return _file(entries | (tags or {}), data, order=order, big=big, tiled=tile is not None)


def _file(entries: dict[int, Tag | None], data: list[bytes], *, order: str, big: bool, tiled: bool) -> bytes:
    start = 16 if big else 8
    offsets = [start, *(start + end for end in accumulate(len(part) for part in data[:-1]))]
    places, sizes = (324, 325) if tiled else (273, 279)
    where: dict[int, Tag | None] = {places: Tag("I", offsets), sizes: Tag("I", [len(part) for part in data])}
    entries = where | entries
    kept = {number: tag for number, tag in sorted(entries.items()) if tag is not None}
    body = b"".join(data)
    body += b"\0" * (len(body) % 2)
    directory = start + len(body)
    address, inline, entry_bytes = ("Q", 8, 20) if big else ("I", 4, 12)
    values_start = directory + (8 if big else 2) + entry_bytes * len(kept) + inline
    table, values = b"", b""
    for number, (kind, numbers) in kept.items():
        code, layout = _TYPES[kind]
        raw = struct.pack(f"{order}{len(numbers)}{layout}", *numbers)
        table += struct.pack(f"{order}HH{address}", number, code, len(numbers))
        if len(raw) > inline:
            table += struct.pack(order + address, values_start + len(values))
            values += raw + b"\0" * (len(raw) % 2)
        else:
            table += raw.ljust(inline, b"\0")
    mark = b"II" if order == "<" else b"MM"
    header = struct.pack(order + "HHHQ", 43, 8, 0, directory) if big else struct.pack(order + "HI", 42, directory)
    count = struct.pack(order + ("Q" if big else "H"), len(kept))
    return mark + header + body + count + table + bytes(inline) + values


def _encoded(part: NDArray[Any], bits: int, order: Literal["<", ">"], predictor: int) -> bytes:
    """A strip's or a tile's rows."""
    height = len(part)
    if bits != part.dtype.itemsize * 8:
        digits = (part[..., None] >> np.arange(bits - 1, -1, -1, dtype=part.dtype)) & 1
        return np.packbits(digits.reshape(height, -1).astype(np.uint8), axis=1).tobytes()
    if predictor == 2:
        whole = part.view(f"u{part.dtype.itemsize}")
        part = np.concatenate([whole[:, :1], whole[:, 1:] - whole[:, :-1]], axis=1)
    if predictor == 3:
        size, channels = part.dtype.itemsize, part.shape[2]
        big_endian = part.astype(part.dtype.newbyteorder(">")).reshape(height, -1, 1).view(np.uint8)
        planes = big_endian.swapaxes(1, 2).reshape(height, -1)
        planes[:, channels:] -= planes[:, :-channels].copy()
        assert planes.shape[1] == part.shape[1] * channels * size
        return planes.tobytes()
    return part.astype(part.dtype.newbyteorder(order)).tobytes()


def _reversed(data: bytes, fill_order: int) -> bytes:
    """With the bits of each byte from the lowest, for fill order 2."""
    if fill_order == 1:
        return data
    return np.packbits(np.unpackbits(np.frombuffer(data, np.uint8)).reshape(-1, 8)[:, ::-1]).tobytes()


def _lzw(data: bytes) -> bytes:
    """TIFF 6.0, section 13."""
    clear, end = 256, 257
    codes: list[tuple[int, int]] = [(clear, 9)]
    table = {bytes([value]): value for value in range(256)}
    width, known, prefix = 9, 258, b""
    for value in data:
        longer = prefix + bytes([value])
        if longer in table:
            prefix = longer
            continue
        codes.append((table[prefix], width))
        table[longer] = known
        known += 1
        if known == 4095:
            codes.append((clear, 12))
            table = {bytes([each]): each for each in range(256)}
            known = 258
        width = max(9, known.bit_length())
        prefix = bytes([value])
    codes += [(table[prefix], width), (end, max(9, (known + 1).bit_length()))]
    bits = "".join(f"{code:0{digits}b}" for code, digits in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8)


def _packbits(data: bytes) -> bytes:
    """TIFF 6.0, section 9: runs of a byte, and others as they are."""
    array = np.frombuffer(data, np.uint8)
    edges = [0, *(np.flatnonzero(np.diff(array)) + 1).tolist(), len(data)]
    packed = bytearray()
    for start, end in pairwise(edges):
        for position in range(start, end, 128):
            length = min(128, end - position)
            packed += bytes([257 - length if length > 1 else 0, data[start]])
    return bytes(packed)


_COMPRESSIONS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "none": (1, bytes),
    "lzw": (5, _lzw),
    "deflate": (8, zlib.compress),
    "old deflate": (32946, zlib.compress),
    "packbits": (32773, _packbits),
    "lzma": (34925, lzma.compress),
}

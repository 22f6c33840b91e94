"""A BMP's run lengths, RLE8 and RLE4: pairs of bytes, a count and a colour, or an escape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.errors import DamagedImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

_END_OF_ROW, _END, _MOVE = 0, 1, 2  # after a count of 0; 3 and more are that many pixels as they are
_NIBBLES = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))


def unpacked(data: bytes, size: tuple[int, int], bits: int, *, strict: bool) -> NDArray[np.uint8]:
    """Numbers of colours, shape (height, width), the file's first row first; what is skipped is colour 0.

    Runs may go into a row's padding to 32 bits: some programs pack whole rows.

    Args:
        size: width and height.
        bits: of a number, 8 or 4.
        strict: whether data that leave the picture, or end before it does, are damage; otherwise they are its end.

    Raises:
        DamagedImage: as ``strict`` says.
    """
    width, height = size
    stride = -(-width * bits // 32) * 32 // bits
    pixels = bytearray(stride * height)
    complete = _unpack(data, pixels, width, stride, bits)
    if strict and not complete:
        raise DamagedImage("the picture is damaged: its runs do not make the picture")
    return np.frombuffer(pixels, np.uint8).reshape(height, stride)[:, :width]


def _unpack(data: bytes, pixels: bytearray, width: int, stride: int, bits: int) -> bool:
    """Whether the data came to the last row's end, or to an end of their own in the last row."""
    runs = [bytes([value] if bits == 8 else [value >> 4, value & 0xF]) * 255 for value in range(256)]  # noqa: PLR2004
    rows = len(pixels) // stride
    row = place = position = 0
    while position + 2 <= len(data) and row < rows:
        count, value = data[position], data[position + 1]
        position += 2
        end = place + count
        if count:
            run = runs[value][:count]
        elif value == _END_OF_ROW:
            row += 1
            place = row * stride
            continue
        elif value == _END:
            return row == rows - 1 and place > row * stride
        elif value == _MOVE:
            right, down = data[position : position + 2].ljust(2, b"\0")
            row, position = row + down, position + 2
            place = end = place + right + down * stride
            run = b""
        else:
            length = -(-value * bits // 8)
            packed = data[position : position + length]
            run = packed if bits == 8 else packed.hex().encode().translate(_NIBBLES)[:value]  # noqa: PLR2004
            end, position = place + value, position + length + length % 2
        if end > (row + 1) * stride or len(run) < end - place:
            return False
        pixels[place:end] = run
        place = end
    return row == rows or (row == rows - 1 and place >= row * stride + width)

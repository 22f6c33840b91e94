"""Small legal pictures that take long to decode: many passes over many pixels."""

from __future__ import annotations

import struct
import zlib

SCANS = 98
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_BLOCK = 8
_BANDS = range(1, 64)
_LONGEST_RUN = 32_767  # of blocks without anything, in one symbol (ITU-T T.81, G.1.2.2)
_RUN_OF_14_BITS = 0xE0


def jpeg_of_empty_scans(width: int, height: int, scans: int = SCANS) -> bytes:
    """A grey progressive JPEG: a scan of the blocks' mean, then one for each frequency, and again for its last bit.

    Nothing is in any of them, so each is a few bytes for every 32,767 blocks, and a pass over all of them.
    """
    blocks = -(-width // _BLOCK) * -(-height // _BLOCK)
    runs, rest = divmod(blocks, _LONGEST_RUN)
    lengths = [_LONGEST_RUN] * runs + ([rest] if rest else [])
    # One symbol for each length in bits: 0xN0 is a run of 2**N blocks and as many more as N bits say.
    symbols = sorted({(length.bit_length() - 1) << 4 for length in lengths} | {_RUN_OF_14_BITS})
    codes = {symbol: "1" * position + "0" for position, symbol in enumerate(symbols)}
    empty = _bits(
        "".join(
            codes[(bits := length.bit_length() - 1) << 4] + (f"{length - (1 << bits):0{bits}b}" if bits else "")
            for length in lengths
        )
    )
    planned = [(band, 0, 1) for band in _BANDS] + [(band, 1, 0) for band in _BANDS]
    return b"".join(
        [
            b"\xff\xd8",
            _segment(0xDB, b"\0" + bytes([1] * 64)),
            _segment(0xC2, struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0)),
            _table(0x00, [0]),
            _table(0x10, symbols),
            _scan(0, 0, 0, _bits("0" * blocks)),
            *(_scan(band, before, after, empty) for band, before, after in planned[: scans - 1]),
            b"\xff\xd9",
        ]
    )


def interlaced_png(width: int, height: int) -> bytes:
    """A grey picture in Adam7's seven passes (PNG, third edition, 8.1)."""
    rows = b"".join(bytes(1 + -(-(width - x) // step_x)) * -(-(height - y) // step_y) for x, y, step_x, step_y in ADAM7)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _table(place: int, symbols: list[int]) -> bytes:
    """A code of one bit more for each symbol: 0, 10, 110 ..."""
    return _segment(0xC4, bytes([place]) + bytes([1] * len(symbols) + [0] * (16 - len(symbols))) + bytes(symbols))


def _scan(band: int, before: int, after: int, data: bytes) -> bytes:
    return _segment(0xDA, bytes([1, 1, 0x00, band, band, before << 4 | after])) + data


def _bits(text: str) -> bytes:
    padded = text + "1" * (-len(text) % 8)
    return int(padded, 2).to_bytes(len(padded) // 8).replace(b"\xff", b"\xff\0")

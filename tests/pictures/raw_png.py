"""PNGs of every depth and kind of colour, most of which Pillow does not write (PNG specification, section 11.2)."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from tests.pictures.odd import chunk

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

GREY, COLOURS, PALETTE, GREY_ALPHA, COLOURS_ALPHA = 0, 2, 3, 4, 6


def raw_png(samples: ArrayLike, kind: int, depth: int, *chunks: bytes) -> bytes:
    """A picture from its samples: of shape (height, width) or (height, width, channels), below 2 to the power of depth.

    ``chunks`` stand between the header and the data.
    """
    values = np.atleast_3d(np.asarray(samples, np.uint16))
    height, width, _ = values.shape
    bits = values[..., None] >> np.arange(depth - 1, -1, -1) & 1
    rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def key(*samples: int) -> bytes:
    """The chunk that says which colour is transparent: its grey, or its red, green and blue."""
    return chunk(b"tRNS", struct.pack(f">{len(samples)}H", *samples))

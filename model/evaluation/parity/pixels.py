"""The pictures on which both systems are compared, as the pixels that both are fed.

Synthetic pictures come from integer arithmetic and need neither files nor a decoder. Photos are squashed to size by
taking nearest pixels, so that between two machines only the JPEG decoder could differ; SHA-256 sums tell.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from model.opencv import cv2

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SYNTHETIC = ("noise", "stripes", "rings", "black")


def synthetic(kind: str, side: int) -> NDArray[np.uint8]:
    """Return one of the ``SYNTHETIC`` pictures, uint8 (side, side, 3)."""
    rows, columns, channels = np.meshgrid(np.arange(side), np.arange(side), np.arange(3), indexing="ij")
    values = {
        # A linear congruential generator's upper bits, one step a value.
        "noise": ((rows * side + columns) * 3 + channels) * 1103515245 + 12345 >> 16,
        "stripes": (rows // 16 + columns // 8) % 3 * 100 + channels * 20,
        "rings": ((rows - side // 2) ** 2 + (columns - side // 2) ** 2) // (32 * (channels + 1)),
        "black": np.zeros_like(rows),
    }
    return (values[kind] % 256).astype(np.uint8)


def photo(file: Path, side: int) -> NDArray[np.uint8]:
    """Return a photo's pixels, uint8 (side, side, 3), BGR, nearest neighbours, not turned by EXIF."""
    image = cv2.imread(str(file), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        msg = f"{file} is no picture that OpenCV can read"
        raise ValueError(msg)
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8)


def fingerprint(pixels: NDArray[np.uint8]) -> str:
    """Return the hex SHA-256 of the pixels, row by row."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()

"""Colour profiles, written from their definitions (ICC.1:2022; the parts that version 2 has too).

Each says what the numbers of a picture's pixels mean. A picture that is converted to one and carries it shows the same
as before.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from model.sandbox.matrix_profile import (
    D50,
    DISPLAY_P3,
    SRGB,
    SRGB_CURVE,
    Chromaticities,
    curve,
    of_primaries,
    profile,
    xyz,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

ADOBE_RGB = Chromaticities(0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
PROPHOTO_RGB = Chromaticities(0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
_LIGHTEST, _MIDDLE = 652.8, 32768  # of L*a*b* in 16 bits, version 2: 100 is 0xFF00, 0 of a* and b* is 0x8000


def display_p3() -> bytes:
    """As phones and Macs take photos: sRGB's curve, with more saturated primaries."""
    return of_primaries(DISPLAY_P3, SRGB_CURVE)


def adobe_rgb() -> bytes:
    """As cameras and photo editors offer (Adobe RGB (1998) Color Image Encoding, 4.3)."""
    return of_primaries(ADOBE_RGB, [563 / 256])


def prophoto_rgb() -> bytes:
    """As raw converters offer (ISO 22028-2), without the straight part of its curve: wider than what eyes see."""
    return of_primaries(PROPHOTO_RGB, [1.8])


def srgb() -> bytes:
    """What pictures without a profile are taken to be."""
    return of_primaries(SRGB, SRGB_CURVE)


def grey(gamma: float = 1.0) -> bytes:
    """Of pictures without colour."""
    return profile(b"GRAY", b"XYZ ", {b"kTRC": curve([gamma]), b"wtpt": xyz(D50)})


def swapped_channels(grid: int = 9) -> bytes:
    """Red and blue exchanged, by a table: a reader that does not apply it shows the wrong colours."""
    return _of_table(b"RGB ", lambda rgb: rgb[..., ::-1], 3, grid)


def inks(grid: int = 9) -> bytes:
    """Of four inks that are darker and less pure than their ideal, as on a press, by a table."""
    return _of_table(b"CMYK", _printed, 4, grid)


def with_tag(whole: bytes, name: bytes, body: bytes) -> bytes:
    """With one more tag, which stands first in the directory."""
    (tags,) = struct.unpack_from(">I", whole, 128)
    directory = name + struct.pack(">II", len(whole) + 12, len(body))
    for kind, offset, length in struct.iter_unpack(">4sII", whole[132 : 132 + 12 * tags]):
        directory += kind + struct.pack(">II", offset + 12, length)
    longer = whole[4:128] + struct.pack(">I", tags + 1) + directory + whole[132 + 12 * tags :] + body
    return struct.pack(">I", 4 + len(longer)) + longer


def _printed(cmyk: NDArray[np.float64]) -> NDArray[np.float64]:
    cyan, magenta, yellow, black = np.moveaxis(cmyk, -1, 0)
    light = 1 - 0.9 * black
    red, green, blue = 1 - 0.9 * cyan, 1 - 0.7 * magenta - 0.2 * cyan, 1 - 0.8 * yellow - 0.2 * magenta
    return np.stack([red * light, green * light, blue * light], -1)


def _of_table(
    space: bytes, to_srgb: Callable[[NDArray[np.float64]], NDArray[np.float64]], channels: int, grid: int
) -> bytes:
    """Of numbers that a table translates to L*a*b*, ``grid`` steps each (lut16Type: ICC.1:2022, 10.10)."""
    steps = np.linspace(0, 1, grid)
    nodes = np.stack(np.meshgrid(*[steps] * channels, indexing="ij"), -1)
    lab = _lab(to_srgb(nodes))
    encoded = np.clip(np.rint(lab * [_LIGHTEST, 256, 256] + [0, _MIDDLE, _MIDDLE]), 0, 0xFFFF).astype(">u2")
    identity = struct.pack(">9i", *(65536 * np.eye(3, dtype=int)).ravel())
    straight = struct.pack(">2H", 0, 0xFFFF)
    table = struct.pack(">4B", channels, 3, grid, 0) + identity + struct.pack(">2H", 2, 2)
    table += straight * channels + encoded.tobytes() + straight * 3
    return profile(space, b"Lab ", {b"A2B0": b"mft2\0\0\0\0" + table, b"wtpt": xyz(D50)})


def _lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB, 0 to 1 → CIE L*a*b* under D50."""
    gamma, a, b, c, threshold = SRGB_CURVE
    light = np.where(rgb < threshold, c * rgb, (a * rgb + b) ** gamma)
    # Of sRGB, under D50 (ICC's own sRGB profile).
    to_xyz = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7139]])
    relative = light @ to_xyz.T / D50
    x, y, z = np.moveaxis(np.where(relative > 216 / 24389, np.cbrt(relative), relative * 841 / 108 + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)

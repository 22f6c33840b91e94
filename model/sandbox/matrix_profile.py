"""Colour profiles written from three primaries and a curve, for pictures that state these by numbers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

D50 = (0.9642, 1.0, 0.8249)
"""The white of what profiles convert to, as X, Y, Z (ICC.1:2022, 7.2.16)."""

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_CURVE_TYPES = {1: 0, 5: 3}  # by the number of parameters (ICC.1:2022, 10.18)

SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""IEC 61966-2-1, as ``curve`` takes it."""


class Chromaticities(NamedTuple):
    """Of the white and the primaries, CIE x and y each; in the order of a PNG's cHRM chunk."""

    white_x: float
    white_y: float
    red_x: float
    red_y: float
    green_x: float
    green_y: float
    blue_x: float
    blue_y: float


SRGB = Chromaticities(0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)

DISPLAY_P3 = Chromaticities(0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
BT_2020 = Chromaticities(0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)

_CODED_PRIMARIES = {1: SRGB, 9: BT_2020, 12: DISPLAY_P3}
_CURVES_SHOWN_AS_SRGB = {1, 6, 13, 14, 15}  # of video, for dim rooms: browsers show stills with sRGB's


def of_code_points(primaries: int, transfer: int) -> bytes:
    """The profile that code points of ITU-T H.273 stand for (8.1, 8.2).

    Raises:
        ValueError: they are of another kind, as PQ and HLG of HDR, which no profile describes.
    """
    if primaries not in _CODED_PRIMARIES or transfer not in _CURVES_SHOWN_AS_SRGB:
        raise ValueError(f"no profile of primaries {primaries} and transfer {transfer}")
    return of_primaries(_CODED_PRIMARIES[primaries], SRGB_CURVE)


def of_primaries(chromaticities: Chromaticities, parameters: Sequence[float]) -> bytes:
    """A profile of light from three sources (ICC.1:2022, F.3).

    Args:
        parameters: the power, or as ``SRGB_CURVE``.

    Raises:
        ValueError: no light has these colours, or the numbers are larger than a profile states.
    """
    white, *sources = np.array(chromaticities).reshape(4, 2)
    try:
        columns = _adapted(np.stack([_xyz(source) for source in sources], axis=1), _xyz(white))
        tags = {name: xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True)}
        return profile(b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(parameters)))
    except (ZeroDivisionError, np.linalg.LinAlgError, struct.error) as error:
        raise ValueError("no colours are described") from error


def profile(space: bytes, connection_space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Of a display, version 2.4, with no more than the tags that a conversion needs."""
    offset = 128 + 4 + 12 * len(tags)
    directory = struct.pack(">I", len(tags))
    content = b""
    for name, body in tags.items():
        directory += name + struct.pack(">II", offset + len(content), len(body))
        content += body + bytes(-len(body) % 4)
    header = struct.pack(">II4s4s4s4s", offset + len(content), 0, b"\2\x40\0\0", b"mntr", space, connection_space)
    header = header.ljust(36, b"\0") + b"acsp".ljust(32, b"\0") + xyz(D50)[8:]
    return header.ljust(128, b"\0") + directory + content


def curve(parameters: Sequence[float]) -> bytes:
    """Encoded values → light, as a parametricCurveType: a power, or a power with a straight part at the dark end."""
    return b"para" + struct.pack(">IHH", 0, _CURVE_TYPES[len(parameters)], 0) + _fixed(parameters)


def xyz(colour: Sequence[float] | NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(colour)


def _fixed(numbers: Sequence[float] | NDArray[np.float64]) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(float(number) * 65536) for number in numbers))


def _xyz(chromaticity: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = (float(part) for part in chromaticity)
    return np.array([x / y, 1, (1 - x - y) / y])


def _adapted(sources: NDArray[np.float64], white: NDArray[np.float64]) -> NDArray[np.float64]:
    """The primaries in the columns, as bright as makes their sum white, seen under D50."""
    lit = sources * np.linalg.solve(sources, white)
    cones = (_BRADFORD @ np.array(D50)) / (_BRADFORD @ white)
    adapted: NDArray[np.float64] = np.linalg.solve(_BRADFORD, cones[:, np.newaxis] * (_BRADFORD @ lit))
    return adapted

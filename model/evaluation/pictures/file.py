"""An encoded picture, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOSSLESS_LIMIT, LOSSY_LIMIT = 2.0, 4.0  # of 255: mean absolute errors


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file to decode.

    Attributes:
        format: as the report calls it.
        colour: the same.
        name: tells it from others of its format and colour.
        image: encoded.
        shown: what a person must see, if that is known: uint8, shape (height, width, 3), red, green, blue, upright.
        limit: the mean absolute error, of 255, that a decoder may have.
    """

    format: str
    colour: str
    name: str
    image: bytes
    shown: NDArray[np.uint8] | None
    limit: float

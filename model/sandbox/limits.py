"""What one picture may cost, by format: measured, with room above (docs/decisions/0027).

`python -m model.evaluation.decoding_costs` prints what the table below is made from.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from model.errors import TooManyPixels

# For all tries of a picture, by the clock: the process's own limit counts the processor's time, of which a busy machine
# may give it little. Less than COMPUTE_LIMIT_S of model/serving/lease.py, at which the worker would end itself instead.
WALL_LIMIT_S = 15.0
CPU_LIMIT_S = 12

# Of any picture. A worker with its model takes 350 MB, a container's limit is 2 GB (docker-compose.yml).
MOST_BYTES = 1_200_000_000

EXIT_OUT_OF_MEMORY = 71  # EX_OSERR of sysexits.h


class Limits(NamedTuple):
    """Memory beyond what the process starts with, as addresses; the processor's time from the picture's start on."""

    memory_bytes: int
    cpu_s: int


class _Costs(NamedTuple):
    bytes_per_pixel: int
    cpu_ns_per_pixel: int


_WORKING_BYTES = 192 * 1024 * 1024
_COPIES = 4  # of the file
_WORKING_S = 1.0

_COSTS = {
    "image/jpeg": _Costs(20, 250),
    "image/png": _Costs(16, 400),
    "image/webp": _Costs(20, 250),
    "image/gif": _Costs(12, 150),
    "image/bmp": _Costs(12, 600),
    "image/tiff": _Costs(28, 500),
    "image/avif": _Costs(20, 500),
    "image/heic": _Costs(18, 600),
}


def limits(media_type: str, pixels: int, file_bytes: int) -> Limits:
    """For a file whose header states ``pixels`` (width x height; of pictures within it, the largest)."""
    costs = _COSTS[media_type]
    return Limits(
        min(MOST_BYTES, _WORKING_BYTES + _COPIES * file_bytes + costs.bytes_per_pixel * pixels),
        min(CPU_LIMIT_S, math.ceil(_WORKING_S + costs.cpu_ns_per_pixel * pixels / 1e9)),
    )


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Hold a width and a height against the limit.

    Raises:
        TooManyPixels: they make more pixels.
    """
    if size[0] * size[1] > max_pixels:
        raise TooManyPixels(f"the picture is too large: it has more than {max_pixels} pixels")

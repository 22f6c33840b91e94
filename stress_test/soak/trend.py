"""Whether a series of samples grows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Samples = list[tuple[float, float]]
"""Seconds from the start, and the value then."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The growth in an hour that still counts as flat: a share of the median, or ``floor`` if that is more."""

    share: float
    floor: float

    def of(self, level: float) -> float:
        return max(self.share * level, self.floor)


@dataclass(frozen=True, slots=True)
class Trend:
    """Of one series: its median, its growth by hour, and the limit of that; all in the series' unit."""

    level: float
    growth_per_hour: float
    limit_per_hour: float

    @property
    def flat(self) -> bool:
        return self.growth_per_hour <= self.limit_per_hour

    @classmethod
    def of(cls, samples: Sequence[tuple[float, float]], limit: Limit) -> Trend:
        """Args: samples: at least two, at different times, without the warm-up."""
        level = median(value for _, value in samples)
        return cls(level, 3600 * slope(samples), limit.of(level))


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """Growth by second: the median slope between all pairs (Theil and Sen), which no restart or peak moves much."""
    return median((later - earlier) / (end - start) for (start, earlier), (end, later) in combinations(samples, 2))

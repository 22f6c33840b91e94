"""The arithmetic of the report: medians with their spread, ratios round by round, percentiles, slopes, verdicts."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Spread:
    """The result of several rounds: the median, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Raises ValueError: there are no values."""
        rounds = list(values)
        if not rounds:
            raise ValueError("no round was measured")
        return cls(statistics.median(rounds), min(rounds), max(rounds))

    def text(self, digits: int) -> str:
        """The median, and in brackets the spread if there is one."""
        median, low, high = (f"{value:.{digits}f}" for value in (self.median, self.low, self.high))
        return median if low == high else f"{median} ({low} to {high})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """The median of each round's quotient: what slows a whole round down cancels out.

    Raises:
        ValueError: the rounds do not pair up.
    """
    return Spread.of(our / their for our, their in zip(ours, theirs, strict=True))


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest of ``values`` that at least ``share`` (0 to 1) of them do not exceed; 0 if there are none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the least-squares line through (x, y); 0 if the points define none."""
    if len({x for x, _ in points}) < 2:  # noqa: PLR2004 - a line needs two
        return 0.0
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A figure that the service should reach; ``reached`` is None if it could not be measured."""

    what: str
    limit: float
    at_least: bool
    reached: Spread | None
    digits: int

    @property
    def met(self) -> bool | None:
        """Whether the unrounded median keeps the limit."""
        if self.reached is None:
            return None
        return self.reached.median >= self.limit if self.at_least else self.reached.median <= self.limit

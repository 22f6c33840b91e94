"""Counters, gauges and histograms whose series are known from the start, kept in numbers that the processes share."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from operator import add
from typing import TYPE_CHECKING, Self

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from api.metrics.shared_numbers import CELLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client.core import Metric

    from api.metrics.shared_numbers import SharedNumbers

# Seconds. From an answer out of memory to the usual deadline, each at most twice the one before.
BOUNDS_S = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75,
    1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0,
)  # fmt: skip
FEW = 16  # series of one family

Labels = tuple[str, ...]


class Row:
    """One process's row of the shared numbers, and what each of its cells is for."""

    def __init__(self, shared: SharedNumbers) -> None:
        self._shared = shared
        self._names: list[str] = []
        self.cells: memoryview[float] = memoryview(b"").cast("d")

    def reserve(self, name: str, cells: int = 1) -> int:
        """The first of ``cells`` cells in a row; the same for the same questions in the same order."""
        first = len(self._names)
        self._names += [name] * cells
        return first

    def open(self) -> None:
        """Begin to write, once everything is reserved.

        Raises:
            ValueError: a row has fewer cells.
        """
        if len(self._names) > CELLS:
            raise ValueError(f"a row has {CELLS} cells, and {len(self._names)} are needed")
        self.cells = self._shared.open_row(self._fingerprint)

    def sums(self) -> Sequence[float]:
        """Every cell, added up over all processes."""
        return self._shared.sums(self._fingerprint, len(self._names))

    @property
    def _fingerprint(self) -> int:
        return int.from_bytes(sha256("\n".join(self._names).encode()).digest()[:8]) | 1


class Gauge:
    """A number that goes up and down. What a dead process had is not its successor's, which begins with ``clear``."""

    def __init__(self, row: Row, name: str, documentation: str) -> None:
        self._row = row
        self._name, self._documentation = name, documentation
        self._cell = row.reserve(name)

    def clear(self) -> None:
        self._row.cells[self._cell] = 0

    def change(self, by: int) -> None:
        self._row.cells[self._cell] += by

    def family(self, sums: Sequence[float]) -> Metric:
        return GaugeMetricFamily(self._name, self._documentation, sums[self._cell])


class Counter:
    """A number per combination of label values, which only grows."""

    def __init__(self, row: Row, name: str, documentation: str, labels: Labels, series: Iterable[Labels]) -> None:
        self._row = row
        self._name, self._documentation, self._labels = name, documentation, labels
        self._cells = {values: row.reserve(f"{name}{values}") for values in series}

    def __contains__(self, values: Labels) -> bool:
        return values in self._cells

    def add(self, *values: str, by: int = 1) -> None:
        self._row.cells[self._cells[values]] += by

    def family(self, sums: Sequence[float]) -> Metric:
        """Few series show their zeros, so that a rate is known from the first event on; of many only what happened."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, cell in self._cells.items():
            if sums[cell] or len(self._cells) <= FEW:
                family.add_metric(values, sums[cell])
        return family


@dataclass(frozen=True, slots=True)
class Distribution:
    """How long things took: their sum in seconds, and how many were in each bucket of ``BOUNDS_S`` and beyond it."""

    sum_s: float = 0.0
    counts: tuple[float, ...] = (0.0,) * (len(BOUNDS_S) + 1)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.sum_s + other.sum_s, tuple(map(add, self.counts, other.counts)))

    @property
    def count(self) -> int:
        return int(sum(self.counts))

    @property
    def mean_s(self) -> float:
        """In seconds; 0 of nothing."""
        return self.sum_s / self.count if self.count else 0.0

    def quantile_s(self, share: float) -> float:
        """The time in seconds that ``share`` (above 0, up to 1) of the things did not pass; 0 of nothing.

        As Prometheus' ``histogram_quantile`` has it: within its bucket they count as evenly spread, the lowest bucket
        begins at 0, and beyond the last bound nothing is known but that bound
        (https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile).
        """
        if not self.count:
            return 0.0
        rank = share * self.count
        up_to = list(accumulate(self.counts))
        bucket = bisect_left(up_to, rank)
        if bucket >= len(BOUNDS_S):
            return BOUNDS_S[-1]
        lower_s = BOUNDS_S[bucket - 1] if bucket else 0.0
        into_bucket = (rank - (up_to[bucket] - self.counts[bucket])) / self.counts[bucket]
        return lower_s + (BOUNDS_S[bucket] - lower_s) * into_bucket


class Histogram:
    """A distribution of times per combination of label values."""

    def __init__(self, row: Row, name: str, documentation: str, labels: Labels, series: Iterable[Labels]) -> None:
        self._row = row
        self._name, self._documentation, self._labels = name, documentation, labels
        # The sum, the buckets, and the one beyond the last bound.
        self._cells = {values: row.reserve(f"{name}{values}", len(BOUNDS_S) + 2) for values in series}

    def __contains__(self, values: Labels) -> bool:
        return values in self._cells

    def observe(self, seconds: float, *values: str) -> None:
        first = self._cells[values]
        self._row.cells[first] += seconds
        self._row.cells[first + 1 + bisect_left(BOUNDS_S, seconds)] += 1

    def distributions(self, sums: Sequence[float]) -> dict[Labels, Distribution]:
        """Those in which there is anything, by their label values."""
        end = len(BOUNDS_S) + 2
        all_of_them = {
            values: Distribution(sums[first], tuple(sums[first + 1 : first + end]))
            for values, first in self._cells.items()
        }
        return {values: distribution for values, distribution in all_of_them.items() if distribution.count}

    def family(self, sums: Sequence[float]) -> Metric:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        upper_ends = [*map(floatToGoString, BOUNDS_S), "+Inf"]
        for values, distribution in self.distributions(sums).items():
            buckets = list(zip(upper_ends, accumulate(distribution.counts), strict=True))
            family.add_metric(values, buckets, distribution.sum_s)
        return family

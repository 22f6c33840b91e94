"""How long things took, as a histogram tells it."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.core import Sample


@dataclass(frozen=True, slots=True)
class Distribution:
    """The sum of the times in seconds, and how many did not pass each of the histogram's bounds, infinity the last."""

    sum_s: float
    up_to: Mapping[float, float]

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Self:
        """All that these samples of one histogram tell, whatever their labels."""
        sum_s, up_to = 0.0, defaultdict[float, float](float)
        for sample in samples:
            if sample.name.endswith("_sum"):
                sum_s += sample.value
            elif sample.name.endswith("_bucket"):
                up_to[float(sample.labels["le"])] += sample.value
        return cls(sum_s, up_to)

    @property
    def count(self) -> int:
        return int(self.up_to.get(math.inf, 0))

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
        rank = share * self.count
        lower_s = below = 0.0
        for bound_s, up_to in sorted(self.up_to.items()):
            if up_to >= rank > below and bound_s < math.inf:
                return lower_s + (bound_s - lower_s) * (rank - below) / (up_to - below)
            if bound_s < math.inf:
                lower_s, below = bound_s, up_to
        return lower_s if self.count else 0.0

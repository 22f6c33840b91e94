"""Statistics of two versions that were asked the same questions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Z_95 = 1.96  # standard errors on either side in which a normal variable is 95 times of 100


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more often the second of two is right, -1 to 1, and the 95% interval of that."""

    value: float
    low: float
    high: float


def paired_difference(pictures: int, only_first: int, only_second: int) -> Difference:
    """The second's share of right answers less the first's, where both have answered about the same pictures.

    This is Wald's interval for the difference of correlated proportions (A. Agresti, Categorical Data Analysis, 3rd
    edition, 11.1.1). Only the pictures that one of the two alone got right tell them apart, so it is much narrower than
    that of two independent samples.

    Args:
        pictures: at least one.
        only_first, only_second: how many of them one of the two alone got right.
    """
    more = only_second - only_first
    error = math.sqrt(only_first + only_second - more**2 / pictures) / pictures
    value = more / pictures
    return Difference(value, max(-1.0, value - Z_95 * error), min(1.0, value + Z_95 * error))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values, at least one, that ``share`` (0 to 1) of them do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]

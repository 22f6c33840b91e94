from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from prometheus_client import CollectorRegistry, Histogram

from api.metrics.distribution import Distribution
from api.metrics.families import BOUNDS_S


def distribution(*times_s: float) -> Distribution:
    """Over two series, as over several routes."""
    histogram = Histogram("took_seconds", "How long it took.", ["of"], buckets=BOUNDS_S, registry=CollectorRegistry())
    for n, seconds in enumerate(times_s):
        histogram.labels(n % 2).observe(seconds)
    return Distribution.of(sample for family in histogram.collect() for sample in family.samples)


@pytest.mark.parametrize(
    ("times_s", "share", "expected_s"),
    [
        ([0.25], 0.5, 0.25),  # half of the way from 0.2 to 0.3
        ([0.2], 1.0, 0.2),  # a bucket's upper end belongs to it
        ([0.0005], 0.5, 0.0005),  # the lowest bucket begins at 0
        ([0.25] * 90 + [4.0] * 10, 0.95, 4.0),  # 5 of the 10 between 3 and 5
        ([0.25] * 90 + [4.0] * 10, 0.9, 0.3),
        ([31.0], 0.5, 30.0),  # beyond the last bound that bound is all that is known
        ([0.0005] + [31.0] * 9, 0.5, 30.0),
        ([], 0.99, 0.0),
    ],
)
def test_quantiles_are_those_of_prometheus(times_s, share, expected_s):
    """/stats and a dashboard must not tell two stories: the rules are those of histogram_quantile."""
    assert distribution(*times_s).quantile_s(share) == pytest.approx(expected_s)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95, 0.99, 1.0])
def test_a_quantile_lies_in_the_bucket_of_the_time_that_it_stands_for(share):
    random = Random(0)  # noqa: S311  # nothing is kept secret with it
    times_s = sorted(random.expovariate(2) for _ in range(1000))
    true_s = times_s[round(share * 1000) - 1]
    lower_s, upper_s = next((lower, upper) for lower, upper in pairwise((0.0, *BOUNDS_S)) if true_s <= upper)

    assert lower_s <= distribution(*times_s).quantile_s(share) <= upper_s


def test_all_series_are_counted_together():
    both = distribution(0.1, 0.2, 0.6)

    assert both.count == 3
    assert both.mean_s == pytest.approx(0.3)


def test_no_bucket_is_more_than_twice_as_wide_as_what_lies_below_it():
    """So a percentile is never off by more than a factor of two, whatever its size."""
    assert all(upper <= 2 * lower for lower, upper in pairwise(BOUNDS_S))

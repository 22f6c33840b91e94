from __future__ import annotations

from itertools import pairwise

import pytest

from api.metrics.instruments import BOUNDS_S, Counter, Distribution, Histogram, Row
from api.metrics.shared_numbers import CELLS, SharedNumbers


def distribution(*times_s: float) -> Distribution:
    row = Row(SharedNumbers())
    histogram = Histogram(row, "took_seconds", "How long it took.", ("of",), [("it",)])
    row.open()
    for seconds in times_s:
        histogram.observe(seconds, "it")
    return histogram.distributions(row.sums()).get(("it",), Distribution())


@pytest.mark.parametrize(
    ("times_s", "share", "expected_s"),
    [
        ([0.25], 0.5, 0.25),  # half of the way from 0.2 to 0.3
        ([0.2], 1.0, 0.2),  # a bucket's upper end belongs to it
        ([0.0005], 0.5, 0.0005),  # the lowest bucket begins at 0
        ([0.25] * 90 + [4.0] * 10, 0.95, 4.0),  # 5 of the 10 between 3 and 5
        ([0.25] * 90 + [4.0] * 10, 0.9, 0.3),
        ([31.0], 0.5, 30.0),  # beyond the last bound that bound is all that is known
        ([], 0.99, 0.0),
    ],
)
def test_quantiles_are_those_of_prometheus(times_s, share, expected_s):
    """/stats and a dashboard must not tell two stories: the rules are those of histogram_quantile."""
    assert distribution(*times_s).quantile_s(share) == pytest.approx(expected_s)


def test_distributions_add_up():
    both = distribution(0.1, 0.2) + distribution(0.6)

    assert both.count == 3
    assert both.mean_s == pytest.approx(0.3)


def test_no_bucket_is_more_than_twice_as_wide_as_what_lies_below_it():
    """So a percentile is never off by more than a factor of two, whatever its size."""
    assert all(upper <= 2 * lower for lower, upper in pairwise(BOUNDS_S))


def test_more_numbers_than_a_row_holds_are_found_out_at_the_start():
    """Otherwise one process would write into the next one's row."""
    row = Row(SharedNumbers())
    Counter(row, "many", "Too many.", ("n",), [(str(n),) for n in range(CELLS + 1)])

    with pytest.raises(ValueError, match="cells"):
        row.open()

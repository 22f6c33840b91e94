"""Numbers worked out by hand."""

from __future__ import annotations

import pytest

from api.core.paired import Difference, paired_difference, percentile


def test_a_difference_has_the_interval_of_paired_answers():
    """12 gained and 4 lost of 100: 0.08, and sqrt(16 - 64 / 100) / 100 = 0.039192 on either side 1.96 times."""
    found = paired_difference(100, only_first=4, only_second=12)

    assert found.value == pytest.approx(0.08)
    assert (found.low, found.high) == pytest.approx((0.0031838, 0.1568162), abs=1e-6)


def test_the_same_figures_the_other_way_round_have_the_opposite_sign():
    there, back = paired_difference(250, 31, 9), paired_difference(250, 9, 31)

    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


def test_more_pictures_make_the_same_difference_certain():
    """Four points of 100 may be chance, of 1000 they are none: sqrt(60 - 1.6) / 1000 = 0.007642."""
    few, many = paired_difference(100, 5, 1), paired_difference(1000, 50, 10)

    assert few.value == many.value == pytest.approx(-0.04)
    assert few.high > 0 > many.high
    assert many.high == pytest.approx(-0.04 + 1.96 * 0.007642, abs=1e-6)


def test_pictures_that_both_get_right_or_wrong_tell_nothing():
    assert paired_difference(100, 0, 0) == Difference(0.0, 0.0, 0.0)


def test_a_share_can_change_by_no_more_than_all_of_it():
    """All lost: every picture says the same, so there is no error left."""
    assert paired_difference(100, 100, 0) == Difference(-1.0, -1.0, -1.0)
    assert paired_difference(3, 0, 2).high == 1.0


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1), (0.001, 1)])
def test_a_percentile_is_one_of_the_values(share, expected):
    assert percentile([float(value) for value in reversed(range(1, 101))], share) == expected


def test_of_few_values_the_99th_percentile_is_the_largest():
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0

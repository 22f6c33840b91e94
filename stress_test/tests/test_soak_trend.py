"""What counts as growth."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from stress_test.machine import Machine
from stress_test.soak.report import Figures, render
from stress_test.soak.samples import LIMITS
from stress_test.soak.trend import Limit, Samples, Trend, slope
from stress_test.traffic.fates import Fate


def series(growth_per_s: float, *, noise: float = 5.0, peak: float = 0.0) -> Samples:
    dice = random.Random(1)  # noqa: S311 - no secret
    values = [(5.0 * n, 200 + growth_per_s * 5 * n + dice.uniform(-noise, noise)) for n in range(120)]
    return [(at, value + peak if 40 < n < 60 else value) for n, (at, value) in enumerate(values)]


def test_the_slope_of_a_line_is_its_growth_by_second():
    assert slope([(0, 1), (10, 3), (20, 5)]) == pytest.approx(0.2)


def test_a_leak_is_found_in_noise():
    """Half a megabyte in a minute is 30 in an hour."""
    trend = Trend.of(series(0.5 / 60), Limit(0.05, 5))

    assert trend.growth_per_hour == pytest.approx(30, rel=0.3)
    assert not trend.flat


@pytest.mark.parametrize("peak", [0, 300, -150])
def test_noise_peaks_and_restarts_are_no_growth(peak):
    assert Trend.of(series(0.0, peak=peak), Limit(0.1, 5)).flat


def test_what_shrinks_is_flat():
    assert Trend.of(series(-1.0), Limit(0.05, 5)).flat


def test_a_series_passes_by_its_trend_after_the_warm_up():
    """A service fills its pools first."""
    warming = [(float(at), min(at, 300.0)) for at in range(0, 400, 5)]

    assert _figures(warming, warm_up_s=300).passed
    assert not _figures(warming, warm_up_s=0).passed
    assert "| keys in Redis |" in render(_figures(warming, warm_up_s=300), "chart.svg")


def test_a_series_without_samples_does_not_pass():
    """What was not measured has not been shown to be flat."""
    figures = _figures([(1.0, 2.0), (2.0, 2.0)], warm_up_s=0)
    figures.series.pop("keys in Redis")  # type: ignore[attr-defined]

    assert not figures.passed
    assert "FAILED: keys in Redis: not measured." in render(figures, "chart.svg")


def _figures(samples: Samples, *, warm_up_s: float) -> Figures:
    machine, day = Machine("a processor", 2, 0.1, {}), datetime(2026, 11, 26, tzinfo=UTC).date()
    everything = {name: list(samples) for name in LIMITS}
    return Figures(day, machine, 5, warm_up_s, 5.0, 3, {}, dict.fromkeys(Fate, 0), everything)

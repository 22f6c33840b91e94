"""What counts as fair between classification and detection."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stress_test.capacity.wrk import Load
from stress_test.machine import Machine
from stress_test.tasks.report import Figures, Turn, render


def load(per_s: float, failed: int = 0) -> Load:
    return Load(8, 10.0, round(per_s * 10), failed, 20, 30, 40, 50, 0.1)


def figures(*turns: Turn) -> Figures:
    machine = Machine("a processor", 2, 0.1, {})
    return Figures(day=datetime(2026, 11, 28, tzinfo=UTC).date(), machine=machine, concurrency=8, turns=turns)


def a_round(infer: float, detect: float, failed: int = 0) -> list[Turn]:
    """Alone each answers 100 a second."""
    return [
        Turn({"/infer": load(100)}),
        Turn({"/detect": load(100)}),
        Turn({"/infer": load(infer), "/detect": load(detect, failed)}),
    ]


@pytest.mark.parametrize(("infer", "detect", "passed"), [(40, 40, True), (60, 39, False), (39, 60, False)])
def test_neither_is_starved(infer, detect, passed):
    seen = figures(*a_round(infer, detect))

    assert seen.passed is passed
    assert ("**Passed**" in render(seen)) is passed


def test_a_round_is_compared_with_itself():
    """Half of the turns come in the other order, and other work of the machine slows whole rounds down."""
    slow = [Turn({route: load(seen.per_s / 10) for route, seen in turn.loads.items()}) for turn in a_round(70, 50)]
    seen = figures(*a_round(50, 50), *reversed(slow))

    assert seen.share("/infer").median == pytest.approx(0.6)
    assert seen.sum_of_shares.high == pytest.approx(1.2)


def test_a_request_that_is_not_answered_fails_whatever_the_rates():
    seen = figures(*a_round(50, 50, failed=1))

    assert not seen.passed
    assert "Requests that were not answered: 1." in render(seen)

"""What counts as fair between two models."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stress_test.capacity.open_loop import Response
from stress_test.fairness.report import Figures, Turn, render
from stress_test.machine import Machine

FLOOD = (Response(0, 1, 200, None), Response(0, 1, 503, "3"))


def responses(ms: float, status: int = 200) -> tuple[Response, ...]:
    return tuple(Response(0, ms / 1000, status, None) for _ in range(10))


def figures(*turns: Turn) -> Figures:
    return Figures(
        day=datetime(2026, 11, 27, tzinfo=UTC).date(),
        machine=Machine("a processor", 2, 0.1, {}),
        flooded="a",
        steady="b",
        flood_rate=100,
        rate=5,
        turns=turns,
    )


@pytest.mark.parametrize(("beside_ms", "passed"), [(99, True), (101, False)])
def test_beside_a_flood_the_p99_may_be_twice_that_alone(beside_ms, passed):
    seen = figures(Turn(responses(50)), Turn(responses(beside_ms), FLOOD))

    assert seen.passed is passed
    assert ("**Passed**" in render(seen)) is passed
    assert "The flood was refused within 1000 ms" in render(seen)


def test_a_round_is_compared_with_itself():
    """Half of the turns come in the other order, and other work of the machine slows whole rounds down."""
    seen = figures(Turn(responses(50)), Turn(responses(60), FLOOD), Turn(responses(600), FLOOD), Turn(responses(500)))

    assert seen.ratio.median == pytest.approx(1.2)


def test_a_steady_request_that_is_not_answered_fails_whatever_the_times():
    refused = (*responses(50), Response(0, 0.001, 503, "1"))

    assert not figures(Turn(responses(50)), Turn(refused, FLOOD)).passed
    assert "10 of 200, 1 of 503" in render(figures(Turn(responses(50)), Turn(refused, FLOOD)))

"""What one sender may have in a while: never more, never less, and what was taken back does not count."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.core.sender_rate import STEPS, SenderRate
from contract.errors import OverShare

MOST, WINDOW_S = 10, 80.0
STEP_S = WINDOW_S / STEPS


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def rate(clock):
    return SenderRate(MOST, WINDOW_S, "no more", clock)


def test_what_was_taken_back_in_several_steps_is_forgotten_with_them(rate, clock):
    for _ in range(3):
        rate.count("anne")()
        clock.now += STEP_S * 1.5
    clock.now += 2 * WINDOW_S
    rate.count("anne", MOST)


def test_what_is_taken_back_late_counts_for_nothing(rate, clock):
    take_back = rate.count("anne", MOST)
    clock.now += 2 * WINDOW_S
    rate.count("anne", MOST)
    take_back()
    with pytest.raises(OverShare):
        rate.count("anne")


DOINGS = st.lists(
    st.tuples(
        st.sampled_from(["anne", "bert"]),
        st.integers(1, 6),
        st.floats(0, WINDOW_S / 2),
        st.booleans(),
    ),
    max_size=60,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the code
@given(DOINGS)
def test_whatever_came_and_was_taken_back_a_sender_has_his_share_and_no_more(doings):
    clock = Clock()
    rate = SenderRate(MOST, WINDOW_S, "no more", clock)
    kept: list[tuple[str, int, float]] = []
    for sender, amount, pause_s, taken_back in doings:
        clock.now += pause_s
        had_lately = sum(had for name, had, at in kept if name == sender and clock.now - at < WINDOW_S)
        had_at_most = sum(had for name, had, at in kept if name == sender and clock.now - at <= WINDOW_S + STEP_S)
        try:
            take_back = rate.count(sender, amount)
        except OverShare:
            assert had_at_most + amount > MOST
            continue
        assert not had_lately or had_lately + amount <= MOST
        if taken_back:
            take_back()
        else:
            kept.append((sender, amount, clock.now))

"""What a process believes of the queue between two looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

import api.staff
from api.staff import Crew, Staff
from contract.roster import WorkerCard

if TYPE_CHECKING:
    from redis import Redis

    from contract.job_queue import JobQueue
    from contract.queue_memory import QueueMemory


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(api.staff, "time", clock)
    return clock


def crew(workers: int, service_ms: float) -> Crew:
    card = WorkerCard("w", "desk", "m", "d" * 64, 0, batch=8, service_ms=service_ms, last_error="")
    return Crew("m", "d" * 64, (card,) * workers, cast("QueueMemory", None))


def test_a_queue_that_nobody_looks_at_is_believed_to_shorten_as_fast_as_the_workers_work(clock):
    """Else a process that refuses everything would go on refusing while the workers run dry."""
    staff = Staff(cast("Redis", None), cast("JobQueue", None))
    staff.saw(100)
    clock.now += 0.5

    assert staff.depth(crew(workers=2, service_ms=20)) == pytest.approx(50)

    clock.now += 60

    assert staff.depth(crew(workers=2, service_ms=20)) == 0


def test_what_is_seen_replaces_what_was_believed(clock):
    staff = Staff(cast("Redis", None), cast("JobQueue", None))
    staff.saw(100)
    clock.now += 0.5
    staff.saw(90)

    assert staff.depth(crew(workers=2, service_ms=20)) == 90


def test_of_workers_that_have_served_nothing_yet_no_speed_is_assumed(clock):
    staff = Staff(cast("Redis", None), cast("JobQueue", None))
    staff.saw(100)
    clock.now += 60

    assert staff.depth(crew(workers=2, service_ms=0)) == 100

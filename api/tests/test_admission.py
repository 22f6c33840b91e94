"""What a process assumes about the queue between two readings of its length, and which requests it admits."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from api.core import admission as admission_module
from api.core.admission import Admission, expected_wait_s
from api.core.errors import Overloaded
from api.core.live_workers import WorkerPool
from contract.errors import OverShare
from contract.worker_registry import WorkerEntry

if TYPE_CHECKING:
    from api.core.live_workers import LiveWorkers
    from contract.redis_memory import RedisMemory


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(admission_module, "time", clock)
    return clock


@pytest.fixture
def admission(clock: Clock) -> Admission:  # noqa: ARG001  # it uses that clock
    return Admission(cast("LiveWorkers", None), max_in_flight=2)


def pool(workers: int, service_ms: float, *, queued: int = 0, seen_at: float = 0.0) -> WorkerPool:
    entry = WorkerEntry(worker_id="w", host="h", model="m", digest="d" * 64, batch=8, service_ms=service_ms)
    memory = cast("RedisMemory", None)
    return WorkerPool(
        model="m", digest="d" * 64, workers=(entry,) * workers, memory=memory, queued=queued, seen_at=seen_at
    )


def wait_behind(depth: float, workers: WorkerPool) -> object:
    return pytest.approx(expected_wait_s(workers, depth))


def test_a_queue_is_assumed_to_shorten_as_fast_as_the_workers_work_until_it_is_read_again(admission, clock):
    """Otherwise a process that refuses everything would go on refusing while the workers have nothing to do."""
    workers = pool(workers=2, service_ms=20)
    admission.saw_depth("m", 100)
    clock.now += 0.5

    assert admission.expected_wait_s(workers) == wait_behind(50, workers)

    clock.now += 60

    assert admission.expected_wait_s(workers) == 0


def test_what_is_read_replaces_what_was_assumed(admission, clock):
    workers = pool(workers=2, service_ms=20)
    admission.saw_depth("m", 100)
    clock.now += 0.5
    admission.saw_depth("m", 90)

    assert admission.expected_wait_s(workers) == wait_behind(90, workers)


def test_the_later_of_a_requests_and_the_pools_reading_counts(admission, clock):
    admission.saw_depth("m", 100)
    looked_before, looked_since = (pool(2, 20, queued=7, seen_at=clock.now + later) for later in (-1, 1))
    clock.now += 1

    assert admission.expected_wait_s(looked_before) == wait_behind(0, looked_before)
    assert admission.expected_wait_s(looked_since) == wait_behind(7, looked_since)


def test_jobs_that_are_being_submitted_count_as_queued(admission):
    """A burst of a hundred is not admitted as a whole just because none of its jobs is queued yet."""
    workers = pool(workers=1, service_ms=20)
    admission.saw_depth("m", 10)
    with admission.submitting("m"), admission.submitting("m"):
        within = admission.expected_wait_s(workers)

    assert within == wait_behind(12, workers)
    assert admission.expected_wait_s(workers) == wait_behind(10, workers)


@pytest.mark.parametrize(
    ("depth", "pictures"),
    [(0, 0), (4, 4 + 8 + 2), (100, 100 + 8 + 8)],
    ids=["an empty queue", "a short queue", "a long queue"],
)
def test_an_answer_waits_for_the_jobs_ahead_the_batches_in_progress_and_the_rest_of_its_own_batch(depth, pictures):
    """Two workers with batches of 8, together one picture every 10 ms; what is not counted here ends as a 504."""
    assert expected_wait_s(pool(workers=2, service_ms=20), depth) == pytest.approx(pictures * 0.010)


def test_no_speed_is_assumed_of_workers_that_have_served_nothing_yet(admission, clock):
    """Their queue is not assumed to shorten, and no request is refused for waiting too long."""
    admission.saw_depth("m", 100)
    clock.now += 60

    assert admission.expected_wait_s(pool(workers=2, service_ms=0)) == 0
    assert admission._queued(pool(workers=2, service_ms=0)) == 100


def test_a_process_answers_no_more_requests_at_a_time_than_it_has_places(admission):
    with admission.place("a"), admission.place("b"), pytest.raises(Overloaded), admission.place("c"):
        pass

    with admission.place("c"):
        pass


def test_a_sender_has_half_of_the_places_at_most(admission):
    with admission.place("a"), pytest.raises(OverShare), admission.place("a"):
        pass
    with admission.place("a"), admission.place("b"):
        pass

"""What a process believes of the queue between two looks at it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, cast

import pytest

import api.core.live_workers
from api.core.errors import NoWorker
from api.core.live_workers import LiveWorkers, WorkerPool
from contract.worker_registry import WorkerEntry

if TYPE_CHECKING:
    from redis import Redis

    from contract.job_queue import JobQueue
    from contract.redis_memory import RedisMemory


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(api.core.live_workers, "time", clock)
    return clock


def workers(workers: int, service_ms: float) -> WorkerPool:
    card = WorkerEntry(worker_id="w", host="desk", model="m", digest="d" * 64, batch=8, service_ms=service_ms)
    return WorkerPool("m", "d" * 64, (card,) * workers, cast("RedisMemory", None))


def test_a_queue_that_nobody_looks_at_is_believed_to_shorten_as_fast_as_the_workers_work(clock):
    """Else a process that refuses everything would go on refusing while the workers run dry."""
    live_workers = LiveWorkers(cast("Redis", None), cast("JobQueue", None))
    live_workers.saw(100)
    clock.now += 0.5

    assert live_workers.depth(workers(workers=2, service_ms=20)) == pytest.approx(50)

    clock.now += 60

    assert live_workers.depth(workers(workers=2, service_ms=20)) == 0


def test_what_is_seen_replaces_what_was_believed(clock):
    live_workers = LiveWorkers(cast("Redis", None), cast("JobQueue", None))
    live_workers.saw(100)
    clock.now += 0.5
    live_workers.saw(90)

    assert live_workers.depth(workers(workers=2, service_ms=20)) == 90


@pytest.mark.usefixtures("clock")
def test_jobs_on_their_way_into_the_queue_count_as_being_in_it():
    """A burst of a hundred is not admitted whole because none of it has arrived yet."""
    live_workers = LiveWorkers(cast("Redis", None), cast("JobQueue", None))
    live_workers.saw(10)
    with live_workers.submitting(), live_workers.submitting():
        within = live_workers.depth(workers(workers=1, service_ms=20))

    assert within == 12
    assert live_workers.depth(workers(workers=1, service_ms=20)) == 10


@pytest.mark.parametrize(
    ("service_ms", "expected_ms"),
    [((20.0, 0.0), 20.0), ((20.0, 200.0), 2 / (1 / 20 + 1 / 200)), ((0.0, 0.0), 0.0)],
    ids=["one has just started", "one is slow", "both have just started"],
)
def test_a_crew_is_as_quick_as_its_workers_together(service_ms, expected_ms):
    """Behind a long queue, just after a restart, twice as much as the workers can do would else be let in."""
    workers = tuple(workers(1, milliseconds).workers[0] for milliseconds in service_ms)
    mixed = WorkerPool("m", "d" * 64, workers, cast("RedisMemory", None))

    assert mixed.mean_service_s * 1000 == pytest.approx(expected_ms)


@pytest.mark.parametrize(
    ("depth", "pictures"),
    [(0, 0), (4, 4 + 8 + 2), (100, 100 + 8 + 8)],
    ids=["nobody in front", "a short queue", "a long queue"],
)
def test_an_answer_waits_for_those_in_front_what_is_in_hand_and_the_rest_of_its_own_batch(depth, pictures):
    """Two workers with batches of 8, one picture of both together every 10 ms; what is forgotten here ends as a 504."""
    assert workers(workers=2, service_ms=20).expected_wait_s(depth) == pytest.approx(pictures * 0.010)


def test_of_workers_that_have_served_nothing_yet_no_speed_is_assumed(clock):
    live_workers = LiveWorkers(cast("Redis", None), cast("JobQueue", None))
    live_workers.saw(100)
    clock.now += 60

    assert live_workers.depth(workers(workers=2, service_ms=0)) == 100


class SlowRedis:
    """A Redis in front of which the first look stands until it is let go on."""

    def __init__(self) -> None:
        self.asked, self.answer = Event(), Event()

    def __call__(self, _redis: object) -> list[WorkerEntry]:
        self.asked.set()
        self.answer.wait()
        return []


def test_while_somebody_looks_anew_others_go_by_what_was_seen_before(clock, monkeypatch):
    """In a burst a look takes as long as hundreds of requests: they are not to fail, nor to wait, for its sake."""
    live_workers = LiveWorkers(cast("Redis", None), cast("JobQueue", None))
    known = workers(workers=1, service_ms=20)
    monkeypatch.setattr(live_workers, "_crew", known)
    monkeypatch.setattr(live_workers, "_looked_at", clock.now - 1.5)
    slow = SlowRedis()
    monkeypatch.setattr(api.core.live_workers, "live_workers", slow)
    monkeypatch.setattr(api.core.live_workers, "read_redis_memory", lambda _redis: None)
    with ThreadPoolExecutor() as pool:
        looker = pool.submit(live_workers.workers)
        slow.asked.wait()
        meanwhile = live_workers.workers()
        slow.answer.set()

    assert meanwhile is known
    assert isinstance(looker.exception(), NoWorker)

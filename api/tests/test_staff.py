"""What a process believes of the queue between two looks at it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, cast

import pytest

import api.staff
from api.errors import NoWorker
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


@pytest.mark.usefixtures("clock")
def test_jobs_on_their_way_into_the_queue_count_as_being_in_it():
    """A burst of a hundred is not admitted whole because none of it has arrived yet."""
    staff = Staff(cast("Redis", None), cast("JobQueue", None))
    staff.saw(10)
    with staff.submitting(), staff.submitting():
        within = staff.depth(crew(workers=1, service_ms=20))

    assert within == 12
    assert staff.depth(crew(workers=1, service_ms=20)) == 10


@pytest.mark.parametrize(
    ("service_ms", "expected_ms"),
    [((20.0, 0.0), 20.0), ((20.0, 200.0), 2 / (1 / 20 + 1 / 200)), ((0.0, 0.0), 0.0)],
    ids=["one has just started", "one is slow", "both have just started"],
)
def test_a_crew_is_as_quick_as_its_workers_together(service_ms, expected_ms):
    """Behind a long queue, just after a restart, twice as much as the workers can do would else be let in."""
    workers = tuple(crew(1, milliseconds).workers[0] for milliseconds in service_ms)
    mixed = Crew("m", "d" * 64, workers, cast("QueueMemory", None))

    assert mixed.mean_service_s * 1000 == pytest.approx(expected_ms)


@pytest.mark.parametrize(
    ("depth", "pictures"),
    [(0, 0), (4, 4 + 8 + 2), (100, 100 + 8 + 8)],
    ids=["nobody in front", "a short queue", "a long queue"],
)
def test_an_answer_waits_for_those_in_front_what_is_in_hand_and_the_rest_of_its_own_batch(depth, pictures):
    """Two workers with batches of 8, one picture of both together every 10 ms; what is forgotten here ends as a 504."""
    assert crew(workers=2, service_ms=20).expected_wait_s(depth) == pytest.approx(pictures * 0.010)


def test_of_workers_that_have_served_nothing_yet_no_speed_is_assumed(clock):
    staff = Staff(cast("Redis", None), cast("JobQueue", None))
    staff.saw(100)
    clock.now += 60

    assert staff.depth(crew(workers=2, service_ms=0)) == 100


class SlowRedis:
    """A Redis in front of which the first look stands until it is let go on."""

    def __init__(self) -> None:
        self.asked, self.answer = Event(), Event()

    def __call__(self, _redis: object) -> list[WorkerCard]:
        self.asked.set()
        self.answer.wait()
        return []


def test_while_somebody_looks_anew_others_go_by_what_was_seen_before(clock, monkeypatch):
    """In a burst a look takes as long as hundreds of requests: they are not to fail, nor to wait, for its sake."""
    staff = Staff(cast("Redis", None), cast("JobQueue", None))
    known = crew(workers=1, service_ms=20)
    monkeypatch.setattr(staff, "_crew", known)
    monkeypatch.setattr(staff, "_looked_at", clock.now - 1.5)
    slow = SlowRedis()
    monkeypatch.setattr(api.staff, "workers_alive", slow)
    monkeypatch.setattr(api.staff, "read_queue_memory", lambda _redis: None)
    with ThreadPoolExecutor() as pool:
        looker = pool.submit(staff.crew)
        slow.asked.wait()
        meanwhile = staff.crew()
        slow.answer.set()

    assert meanwhile is known
    assert isinstance(looker.exception(), NoWorker)

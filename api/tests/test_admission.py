"""What a process assumes about the queue between two readings of its length, and which requests it admits."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from api.core import admission as admission_module
from api.core.admission import Admission, expected_wait_s
from api.core.errors import Overloaded, UnknownModel
from api.core.live_workers import Fleet, Neighbour, WorkerPool
from contract.deadline import Deadline
from contract.errors import OverShare
from contract.model_version import ModelVersion, WantedModel
from contract.worker_registry import WorkerEntry

if TYPE_CHECKING:
    from api.core.live_workers import LiveWorkers
    from contract.redis_memory import RedisMemory


NOW = 1000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

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


def pool(
    workers: int,
    service_ms: float,
    *,
    model: str = "m",
    queued: int = 0,
    seen_at: float = 0.0,
    beside: tuple[Neighbour, ...] = (),
) -> WorkerPool:
    entry = WorkerEntry(worker_id="w", host="h", model=model, digest="d" * 64, batch=8, service_ms=service_ms)
    return WorkerPool(
        model=model,
        digest="d" * 64,
        workers=(entry,) * workers,
        memory=cast("RedisMemory", None),
        queued=queued,
        neighbours=beside,
        seen_at=seen_at,
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


# Several models on the same workers


def beside(queued: int, *, service_ms: float = 50, share: float = 1.0, workers: int = 2) -> tuple[Neighbour, ...]:
    """Another model whose queue has so many."""
    return (Neighbour(pool(workers, service_ms, model="other", queued=queued, seen_at=NOW), share),)


def test_what_waits_for_another_model_counts_in_the_expected_wait(admission):
    """They take turns: until the other's few are done a model has half of the workers' time."""
    ours = pool(workers=2, service_ms=20, queued=100, seen_at=NOW, beside=beside(4))

    assert admission.expected_wait_s(ours) == pytest.approx(expected_wait_s(ours, 100) + 4 * 0.050 / 2)


@pytest.mark.parametrize("others", [100, 100_000])
def test_a_flood_of_another_model_counts_no_more_than_ones_own_work(admission, others):
    """However many there are, of the time until one's own are done the other has half."""
    ours = pool(workers=2, service_ms=20, queued=10, seen_at=NOW, beside=beside(others))

    assert admission.expected_wait_s(ours) == pytest.approx(2 * expected_wait_s(ours, 10))


def test_behind_an_empty_queue_nothing_is_expected_to_wait_however_busy_the_workers_are_with_others(admission):
    """It is the next batch's turn. So a model that is used seldom is never refused for another's flood."""
    ours = pool(workers=2, service_ms=20, queued=0, seen_at=NOW, beside=beside(100_000))

    assert admission.expected_wait_s(ours) == 0


def test_of_workers_that_serve_a_model_apart_only_those_that_serve_both_count(admission):
    ours = pool(workers=2, service_ms=20, queued=100, seen_at=NOW, beside=beside(4, share=0.25))

    assert admission.expected_wait_s(ours) == pytest.approx(expected_wait_s(ours, 100) + 0.25 * 4 * 0.050 / 2)


def test_what_is_known_of_one_models_queue_says_nothing_of_anothers(admission):
    admission.saw_depth("other", 100)
    with admission.submitting("other"):
        wait_s = admission.expected_wait_s(pool(workers=2, service_ms=20, queued=3, seen_at=NOW))

    assert wait_s == wait_behind(3, pool(workers=2, service_ms=20))


class TwoModels:
    """Live workers of one model that has more than it can do, and of one that has nothing to do."""

    def fleet(self) -> Fleet:
        pools = {"full": pool(1, 1000, model="full", queued=1000), "idle": pool(1, 1000, model="idle")}
        versions = tuple(ModelVersion(name) for name in pools)
        return Fleet(versions, {}, pools, cast("RedisMemory", None), default_model="full")


def test_a_request_that_names_its_model_in_the_query_is_refused_before_its_body_comes():
    """Of one that does not the body may still name a model that has room."""
    admission = Admission(cast("LiveWorkers", TwoModels()), max_in_flight=2)
    admission.saw_depth("full", 1000)
    deadline = Deadline(30)

    admission.check_before_body(deadline, WantedModel("idle"))
    admission.check_before_body(deadline)
    with pytest.raises(Overloaded):
        admission.check_before_body(deadline, WantedModel("full"))
    with pytest.raises(UnknownModel):
        admission.check_before_body(deadline, WantedModel("nonsense"))


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

"""One worker that takes from the queues of several models: what it takes, in which order, and how it hears of it."""

from __future__ import annotations

import threading
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from contract import keys, worker_registry
from contract.async_jobs import AsyncJobs, JobRequest
from contract.job_queue import WAKES_KEPT, JobQueue, queue_name
from contract.messages import ClassifyJob
from contract.redis_clients import connect
from contract.worker_registry import WorkerEntry
from model.serving import priority_queues as priority_queues_module
from model.serving.registration import Registration
from tests.support.queues import WAKE, priority_queues
from tests.support.scripted_worker import DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.worker_registry import Roster
    from model.serving.priority_queues import PriorityQueues
    from tests.support.server import Server

FIVE = ("a", "b", "b@2", "c", "d@2026.1")
NOBODYS_PATIENCE_S = 30
PICTURES = count()


@pytest.fixture
def redis(any_server: Server) -> Iterator[Redis]:
    """An empty server, for the test to look at."""
    with Redis.from_url(any_server.operator_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def queue(any_server: Server, redis: Redis) -> Iterator[JobQueue]:  # noqa: ARG001  # it is empty
    with connect(any_server.api_url) as client:
        yield JobQueue(client, client)


@pytest.fixture
def worker(any_server: Server, redis: Redis) -> Iterator[Redis]:  # noqa: ARG001  # it is empty
    with connect(any_server.worker_url) as client:
        yield client


class Clock:
    """The time by which turns are shared, which only the test moves."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(priority_queues_module, "time", clock)
    return clock


@pytest.fixture
def _short_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that look at queues on which nothing is left."""
    monkeypatch.setattr(priority_queues_module, "POP_BLOCK_S", 0.01)


def submit(queue: JobQueue, model: str, *, bulk: bool = False, wake: tuple[str, ...] = (WAKE,)) -> str:
    """A request for a picture of its own; returns the job's ID."""
    job = ClassifyJob(f"{next(PICTURES):064}", cache=True)
    return queue.submit(model, job, 60, bulk=bulk, wake=wake).job_id


def create(worker: Redis, model: str) -> None:
    """An async job."""
    jobs = AsyncJobs(worker, JobQueue(worker, worker), ttl_s=60, per_sender=9, bytes_per_sender=9)
    jobs.create(model, JobRequest("e" * 64, 1, 0.0, top_k_sent=True), sender="s", size_bytes=1, cache=False, key=None)


def taken(served: PriorityQueues) -> tuple[str, list[str]]:
    """The model of the next batch and its jobs; ("", []) if there is none."""
    found = served.take()
    return (found[0].model, [job.id for job in found[1].runnable]) if found else ("", [])


def test_a_batch_is_of_one_model_only(queue, worker, clock):
    """Each has its own network. What waits of the other is the next batch."""
    ours = {model: [submit(queue, model) for _ in range(4)] for model in ("a", "b")}
    served = priority_queues(worker, "a", "b")
    found: dict[str, list[str]] = {"a": [], "b": []}
    for _ in range(4):
        model, jobs = taken(served)
        found[model] += jobs
        clock.now += 0.1

    assert found == ours


def test_the_same_picture_for_two_models_is_two_jobs(queue, worker):
    job = ClassifyJob("f" * 64, cache=True)
    first, second, again = (queue.submit(model, job, 60) for model in ("a", "b@2", "b@2"))

    assert (first.joined, second.joined, again.joined) == (False, False, True)
    served = priority_queues(worker, "a", "b@2")
    assert sorted([taken(served), taken(served)]) == [("a", [first.job_id]), ("b@2", [second.job_id])]


def test_a_request_of_any_model_goes_before_async_jobs_of_all(queue, worker, any_server, clock):
    with connect(any_server.api_url) as api:
        for model in ("a", "b"):
            create(api, model)
    request = submit(queue, "b")
    served = priority_queues(worker, "a", "b")
    first = taken(served)
    clock.now += 0.1

    assert first == ("b", [request])
    assert {taken(served)[0], taken(served)[0]} == {"a", "b"}


def test_a_model_that_comes_seldom_is_served_beside_another_with_more_than_it_can_do(queue, worker, clock):
    """However long the other's queue is: it waits for one batch, and that one is short."""
    served = priority_queues(worker, "flooded", "seldom")
    for _ in range(60):
        submit(queue, "flooded")
    taken(served)
    clock.now += 0.16
    waited = []
    for _ in range(5):
        mine = submit(queue, "seldom")
        waited.append(0)
        while taken(served) != ("seldom", [mine]):
            waited[-1] += 1
            clock.now += 0.04
        clock.now += 0.01
        taken(served)  # it is gone for a while, and the other has the worker to itself
        clock.now += 0.16

    assert waited == [0] * 5


@pytest.mark.usefixtures("_short_block")
def test_two_models_with_more_than_they_can_do_have_the_same_time_each(queue, worker, clock):
    """One picture takes the slow one 0.2 s and the quick one 0.02 s: ten times as many of these are served."""
    served = priority_queues(worker, "slow", "quick", batch_max=1)
    for model, pictures in (("slow", 15), ("quick", 150)):
        for _ in range(pictures):
            submit(queue, model)
    had: Counter[str] = Counter()
    for _ in range(110):
        model, jobs = taken(served)
        assert len(jobs) == 1
        had[model] += 1
        clock.now += 0.2 if model == "slow" else 0.02

    assert had == {"slow": 10, "quick": 100}


def test_costly_pictures_of_a_model_cost_its_ordinary_ones_no_turn(queue, worker, clock):
    """They have a share of the time by themselves, and are kept off the ordinary ones for just that reason."""
    served = priority_queues(worker, "a", "b", batch_max=1)
    submit(queue, "a", bulk=True)
    assert taken(served)[0] == "a"
    clock.now += 4.0
    for model in ("b", "a", "b", "a"):
        submit(queue, model)
    order = []
    for _ in range(4):
        order.append(taken(served)[0])
        clock.now += 0.1

    assert order == ["a", "b", "a", "b"]


def test_beside_others_a_batch_is_short_and_alone_it_is_not(queue, worker, clock):
    """Whoever comes next waits for the batch in hand."""
    for model in ("a", "b"):
        for _ in range(12):
            submit(queue, model)
    served = priority_queues(worker, "a", "b", batch_max=8)
    both = [taken(served)]
    clock.now += 0.1
    both.append(taken(served))
    alone = priority_queues(worker, "a", batch_max=8)

    assert sorted((model, len(jobs)) for model, jobs in both) == [("a", 2), ("b", 2)]
    assert len(taken(alone)[1]) == 8


def test_a_batch_is_short_beside_a_model_that_comes_seldom(queue, worker, clock):
    """It waits for the batch that is in hand when it comes, and so for nobody's long one."""
    served = priority_queues(worker, "a", "b", batch_max=8)
    submit(queue, "b")
    taken(served)
    for _ in range(20):
        submit(queue, "a")

    clock.now += priority_queues_module.IN_USE_S - 0.1
    assert len(taken(served)[1]) == 2
    clock.now += 0.2
    assert len(taken(served)[1]) == 8


# How an idle worker hears of work


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that heard of nothing would sleep for longer than the test may take."""
    monkeypatch.setattr(priority_queues_module, "POP_BLOCK_S", 2 * NOBODYS_PATIENCE_S)


class IdleWorker:
    """Takes one batch in a thread; the test goes on once it sleeps."""

    def __init__(self, served: PriorityQueues, redis: Redis) -> None:
        self.found: tuple[str, list[str]] | None = None
        self._thread = threading.Thread(target=self._take, args=(served,), daemon=True)
        self._thread.start()
        while not int(redis.info("clients")["blocked_clients"]):
            assert self._thread.is_alive()

    def _take(self, served: PriorityQueues) -> None:
        self.found = taken(served)

    def hears_of(self) -> tuple[str, list[str]] | None:
        """What it takes, or None if it sleeps on."""
        self._thread.join(NOBODYS_PATIENCE_S)
        return self.found


@pytest.mark.usefixtures("_patient")
@pytest.mark.parametrize("model", FIVE)
@pytest.mark.parametrize("bulk", [False, True], ids=["ordinary", "costly"])
def test_an_idle_worker_of_five_versions_starts_a_request_of_any_of_them_at_once(queue, worker, redis, model, bulk):
    """No request waits for a block to end: this one is longer than the test may take."""
    idle = IdleWorker(priority_queues(worker, *FIVE), redis)
    job_id = submit(queue, model, bulk=bulk)

    assert idle.hears_of() == (model, [job_id])


@pytest.mark.usefixtures("_patient")
def test_a_request_that_comes_between_a_look_and_the_sleep_is_started_at_once(queue, worker, monkeypatch):
    """The word waits for the worker, not the worker for the word."""
    served = priority_queues(worker, *FIVE)
    look = served._take_waiting
    came: list[str] = []

    def look_before_it_comes() -> object:
        found = look()
        if not came:
            came.append(submit(queue, "c"))
        return found

    monkeypatch.setattr(served, "_take_waiting", look_before_it_comes)

    assert taken(served) == ("c", came)


@pytest.mark.usefixtures("_patient")
def test_a_worker_of_one_model_waits_on_the_queue_itself(queue, worker, redis):
    """As workers did before there were several models: nobody has to send word."""
    idle = IdleWorker(priority_queues(worker, "a"), redis)
    job_id = submit(queue, "a", wake=())

    assert idle.hears_of() == ("a", [job_id])


@pytest.mark.usefixtures("_short_block")
def test_a_job_whose_word_was_lost_is_taken_once_the_block_ends(queue, worker):
    """The word is never the job's only record."""
    served = priority_queues(worker, *FIVE)
    assert taken(served) == ("", [])
    job_id = submit(queue, "d@2026.1", wake=())

    assert taken(served) == ("d@2026.1", [job_id])


@pytest.mark.usefixtures("_short_block")
def test_word_without_work_costs_a_look_and_nothing_else(queue, worker, redis):
    """Others were faster, or nobody wants the picture any more."""
    submit(queue, "a")
    redis.delete(f"rq:queue:{queue_name('a')}")

    assert taken(priority_queues(worker, *FIVE)) == ("", [])


def test_word_that_nobody_hears_is_bounded_and_expires(queue, redis):
    """Busy workers look at their queues anyway: under a long load it would pile up."""
    for _ in range(WAKES_KEPT + 20):
        submit(queue, "a")

    assert redis.llen(keys.wake(WAKE)) == WAKES_KEPT
    assert redis.ttl(keys.wake(WAKE)) > 0


def test_a_request_sends_word_to_workers_of_each_kind(queue, redis):
    """Of two services that share a model one may serve others beside it."""
    submit(queue, "a", wake=("one", "other"))

    assert [redis.llen(keys.wake(name)) for name in ("one", "other", WAKE)] == [1, 1, 0]


def test_the_first_of_a_workers_models_appears_last(worker, monkeypatch):
    """The service is ready with it, and whoever has seen that may ask the others."""
    appeared: list[str] = []
    send = worker_registry.heartbeat

    def sent(redis: Redis, entry: WorkerEntry, **other: Any) -> Roster:
        appeared.append(entry.model)
        return send(redis, entry, **other)

    monkeypatch.setattr("model.serving.registration.heartbeat", sent)
    registration = Registration(worker, lambda: None, bulk_share=0.5)
    for model in ("first", "second"):
        entry = WorkerEntry(worker_id="w", host="h", model=model, digest="d" * 64, batch=1, service_ms=0.0)
        registration.add(entry, ["a"], DESCRIPTION, claims=True)
    registration.start()
    registration.stop()

    assert appeared[:2] == ["second", "first"]

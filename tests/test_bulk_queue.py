"""Costly pictures wait on a queue of their own, so that they don't stand in the way of ordinary ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis import Redis

from api.core.admission import Admission
from api.core.errors import Overloaded
from api.core.live_workers import LiveWorkers, WorkerPool
from api.core.sender_backlog import LEAST_PICTURES, SenderBacklog
from contract import keys
from contract.async_jobs import AsyncJobs, JobRequest
from contract.deadline import Deadline
from contract.decoding_cost import DecodingCost
from contract.job_queue import JobQueue, async_queue_name, bulk_async_queue_name, bulk_queue_name
from contract.messages import ClassifyJob
from contract.redis_clients import connect
from contract.redis_memory import read_redis_memory
from contract.worker_registry import WorkerEntry, deregister, heartbeat, live_workers
from model.serving.registration import Registration
from tests.support.queues import priority_queues
from tests.support.scripted_worker import DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model.serving.priority_queues import PriorityQueues
    from tests.support.server import Server

MODEL = "m"


@pytest.fixture
def redis(any_server: Server) -> Iterator[Redis]:
    """An empty server, for the test to look at."""
    with Redis.from_url(any_server.operator_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def api(any_server: Server, redis: Redis) -> Iterator[Redis]:  # noqa: ARG001  # it is empty
    with connect(any_server.api_url) as client:
        yield client


@pytest.fixture
def worker(any_server: Server, redis: Redis) -> Iterator[Redis]:  # noqa: ARG001  # it is empty
    with connect(any_server.worker_url) as client:
        yield client


@pytest.fixture
def queue(api: Redis) -> JobQueue:
    return JobQueue(api, api)


def entry(worker_id: str, bulk_ms: float | None = 0.0) -> WorkerEntry:
    return WorkerEntry(
        worker_id=worker_id, host="h", model=MODEL, digest="d", batch=8, service_ms=30.0, bulk_ms=bulk_ms
    )


def queues(redis: Redis, *, serves_bulk: bool) -> PriorityQueues:
    return priority_queues(redis, MODEL, serves_bulk=lambda: serves_bulk)


def submit(queue: JobQueue, name: str, *, bulk: bool) -> str:
    return queue.submit(MODEL, ClassifyJob(name * 64, cache=True), 30, bulk=bulk).job_id


def taken(served: PriorityQueues) -> list[str]:
    found = served.take()
    return [job.id for job in found[1].runnable] if found else []


def pool(redis: Redis, workers: tuple[WorkerEntry, ...], *, queued: int = 0, bulk_queued: int = 0) -> WorkerPool:
    return WorkerPool(
        model=MODEL,
        digest="d",
        workers=workers,
        memory=read_redis_memory(redis),
        queued=queued,
        bulk_queued=bulk_queued,
        seen_at=0.0,
    )


def test_a_request_goes_before_costly_pictures_that_came_first(worker, queue):
    costly = [submit(queue, name, bulk=True) for name in "ab"]
    ordinary = submit(queue, "c", bulk=False)
    served = queues(worker, serves_bulk=True)
    assert [taken(served), taken(served), taken(served)] == [[ordinary], costly[:1], costly[1:]]


def test_a_worker_outside_the_share_takes_no_costly_picture(redis, worker, queue):
    submit(queue, "a", bulk=True)
    assert taken(queues(worker, serves_bulk=False)) == []
    assert redis.llen(f"rq:queue:{bulk_queue_name(MODEL)}") == 1


def test_costly_pictures_get_their_share_of_a_worker_whom_requests_keep_busy(worker, queue, monkeypatch):
    now = 0.0
    monkeypatch.setattr("model.serving.priority_queues.time.monotonic", lambda: now)
    costly = submit(queue, "a", bulk=True)
    submit(queue, "b", bulk=False)
    served = queues(worker, serves_bulk=True)
    assert taken(served) != [costly]
    submit(queue, "c", bulk=False)
    now = 1.0
    assert taken(served) == [costly]


def test_half_of_the_workers_serve_costly_pictures_and_one_alone_does(worker):
    assert heartbeat(worker, entry("w1")).serves_bulk
    for worker_id in ("w2", "w3", "w4"):
        heartbeat(worker, entry(worker_id))
    assert [heartbeat(worker, entry(f"w{n}")).serves_bulk for n in (1, 2, 3, 4)] == [True, True, False, False]
    deregister(worker, entry("w1"))
    assert heartbeat(worker, entry("w2")).serves_bulk


def test_a_worker_that_does_not_know_the_queue_is_never_counted_for_it(api, worker):
    """During an upgrade its costly pictures wait on the ordinary queue."""
    assert not heartbeat(worker, entry("w1", bulk_ms=None)).serves_bulk
    assert pool(api, tuple(live_workers(api))).bulk_workers == 0
    heartbeat(worker, entry("w2"))
    assert pool(api, tuple(live_workers(api))).bulk_workers == 1


@pytest.mark.parametrize("garbage", ["much", "-1", "nan", "1e99"])
def test_garbage_instead_of_the_time_does_not_cost_a_worker_its_entry(redis, api, worker, garbage):
    heartbeat(worker, entry("w1"))
    redis.hset(f"worker:{MODEL}:w1", "bulk_ms", garbage)
    assert [worker.bulk_ms for worker in live_workers(api)] == [None]


def test_a_full_bulk_queue_refuses_costly_pictures_only(api, queue):
    admission = Admission(LiveWorkers(api, queue), max_in_flight=1)
    crowded = pool(api, (entry("w1", bulk_ms=2000.0),), bulk_queued=10)
    admission.check(crowded, Deadline(30))
    with pytest.raises(Overloaded):
        admission.check(crowded, Deadline(30), bulk=True)


def test_a_full_ordinary_queue_refuses_ordinary_pictures_only(api, queue):
    admission = Admission(LiveWorkers(api, queue), max_in_flight=1)
    admission.saw_depth(MODEL, 10_000)
    crowded = pool(api, (entry("w1"),))
    admission.check(crowded, Deadline(30), bulk=True)
    with pytest.raises(Overloaded):
        admission.check(crowded, Deadline(30))


def test_a_costly_async_job_waits_behind_everything_else(redis, api, worker, queue):
    redis.rpush(f"rq:queue:{async_queue_name(MODEL)}", "a job that is gone")
    AsyncJobs(api, queue, 60, per_sender=9, bytes_per_sender=10**9).create(
        MODEL, JobRequest("a" * 64, 1, 0.0, top_k_sent=True), sender="s", size_bytes=1, cache=False, bulk=True
    )
    costly, ordinary = submit(queue, "b", bulk=True), submit(queue, "c", bulk=False)
    served = queues(worker, serves_bulk=True)
    *first, last = (taken(served) for _ in range(4))

    assert first == [[ordinary], [costly], []]
    assert len(last) == 1
    assert redis.llen(f"rq:queue:{bulk_async_queue_name(MODEL)}") == 0


def test_a_worker_that_is_chosen_for_bulk_owes_it_nothing_for_the_time_before(worker, queue, monkeypatch):
    """Otherwise it would serve costly pictures alone for seconds."""
    now, chosen = 0.0, False
    monkeypatch.setattr("model.serving.priority_queues.time.monotonic", lambda: now)
    costly, ordinary = submit(queue, "a", bulk=True), [submit(queue, name, bulk=False) for name in "bcd"]
    served = priority_queues(worker, MODEL, batch_max=1, serves_bulk=lambda: chosen)
    assert taken(served) == [ordinary[0]]
    now = 100.0
    assert taken(served) == [ordinary[1]]
    chosen = True
    assert taken(served) == [ordinary[2]]
    assert taken(served) == [costly]


def test_a_bulk_job_of_a_dead_worker_comes_back(redis, worker, queue):
    job_id = submit(queue, "a", bulk=True)
    died = queues(worker, serves_bulk=True).take()
    assert died is not None
    died[0].settlement.start(died[1].runnable, [])
    for run in redis.zrange(f"rq:wip:{bulk_queue_name(MODEL)}", 0, -1):
        redis.zadd(f"rq:wip:{bulk_queue_name(MODEL)}", {run: 1})
        redis.delete(keys.rq_execution(run.decode()))

    other = queues(worker, serves_bulk=True)
    other.recover()
    assert taken(other) == [job_id]


# Which pictures go there


def test_workers_learn_what_a_kind_of_picture_costs_and_the_api_reckons_with_it(api, worker):
    registration = Registration(worker, clear_shared_keys=lambda: None, bulk_share=0.5)
    registration.add(entry("w1"), ["tabby"], DESCRIPTION, claims=True)
    for took_ms in (300.0, 300.0, 10_000.0):  # one of them was held up
        registration.decoded(DecodingCost("image/png", 100.0), took_ms)
    registration.decoded(DecodingCost("image/gif", 1.0), 50.0)  # too small to tell anything
    registration.renew()
    learned = pool(api, tuple(live_workers(api)))

    assert learned.decoding_s(DecodingCost("image/png", 1000.0)) == pytest.approx(3.0)
    assert learned.decoding_s(DecodingCost("image/gif", 1000.0)) == pytest.approx(1.0)


@pytest.mark.parametrize("garbage", ["", "[]", "{", '{"image/png": "much"}', '{"image/png": null}', '{"a": NaN}'])
def test_garbage_instead_of_what_was_learned_counts_as_nothing_learned(redis, api, worker, garbage):
    heartbeat(worker, entry("w1"))
    redis.hset(f"worker:{MODEL}:w1", "cost_factors", garbage)

    assert pool(api, tuple(live_workers(api))).decoding_s(DecodingCost("image/png", 1000.0)) == 1.0


def test_a_sender_over_its_share_crowds_nobody_and_has_room_again_when_its_requests_are_answered():
    backlog = SenderBacklog(most_s=1.0)
    with backlog.of("crowd") as add:
        for _ in range(LEAST_PICTURES):
            assert not backlog.over("crowd")
            add(0.2)
        assert backlog.over("crowd")
        assert not backlog.over("neighbour")
    assert not backlog.over("crowd")


def test_a_sender_has_at_least_a_batch_however_slow_the_workers_are():
    backlog = SenderBacklog(most_s=0.1)
    with backlog.of("sender") as add:
        for _ in range(LEAST_PICTURES - 1):
            add(5.0)
        assert not backlog.over("sender")

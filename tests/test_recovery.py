"""Recovery and batcher with a Redis that does not answer everything: what they can't read they must not forget."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError
from rq import Queue

from contract import keys
from contract.errors import WorkerFault
from contract.job_queue import queue_name
from model.serving.batcher import Batcher
from model.serving.claimed_job import ClaimedJob, read_claimed_job
from tests.support.queues import recovery, settlement
from tests.support.scripted_worker import MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Server
    from tests.support.workers import ScriptedWorkers

LEASES = f"rq:wip:{queue_name(MODEL)}"
QUEUE = f"rq:queue:{queue_name(MODEL)}"


@pytest.fixture
def forbidden(workers: ScriptedWorkers, any_server: Server) -> Iterator[Redis]:
    """A client that Redis lets do anything but read a hash."""
    workers.redis.acl_setuser(
        "blind", enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=["-hgetall"]
    )
    with Redis.from_url(any_server.url_of("blind")) as client:
        yield client
    workers.redis.acl_deluser("blind")


def test_a_lease_whose_job_cant_be_read_stays(workers, forbidden):
    """It is the last record of a job that somebody was promised an answer to."""
    submission = workers.submit("tabby")
    workers.redis.delete(QUEUE)
    workers.redis.zadd(LEASES, {f"{submission.job_id}:run": 1})

    with pytest.raises(NoPermissionError):
        recovery(forbidden, MODEL).run()

    assert workers.redis.zcard(LEASES) == 1

    workers.redis.delete(keys.recovery(queue_name(MODEL)))
    recovery(workers.redis, MODEL).run()

    assert workers.redis.zcard(LEASES) == 0
    assert workers.redis.lrange(QUEUE, 0, -1) == [submission.job_id.encode()]


def test_a_job_that_cant_be_read_is_not_taken_for_garbage(workers, forbidden):
    """It stays between the queue and its start, where recovery finds it."""
    submission = workers.submit("tabby")
    queue = Queue(queue_name(MODEL), connection=forbidden)

    with pytest.raises(NoPermissionError):
        Batcher(forbidden, queue, batch_max=4, batch_wait_s=0.0, workers=lambda: 1).take(1)

    assert workers.redis.lrange(queue.intermediate_queue_key, 0, -1) == [submission.job_id.encode()]


def test_a_fault_of_ours_loses_no_job(workers, monkeypatch):
    """A job that can't be settled, for whatever reason but garbage, stays as a dead letter for an operator."""
    queue = Queue(queue_name(MODEL), connection=workers.redis)
    submissions = [workers.submit(script) for script in ("tabby", "lynx")]
    unlucky, other = (claimed(workers, queue, submission.job_id) for submission in submissions)

    def fault(*_: object, **__: object) -> None:
        raise AttributeError("a fault of ours")

    monkeypatch.setattr(unlucky.record, "prepare_for_execution", fault)
    workers.redis.rpush(queue.intermediate_queue_key, unlucky.id, other.id)

    assert settlement(workers.redis, MODEL).start([unlucky, other], []) == [other]
    record = workers.redis.hgetall(keys.rq_job(unlucky.id))
    assert record[b"status"] == b"failed"
    assert b"a fault of ours" in record[b"exc_info"]
    assert b"data" in record
    assert workers.redis.zscore(f"rq:failed:{queue.name}", unlucky.id) is not None
    assert workers.redis.lrange(queue.intermediate_queue_key, 0, -1) == []
    with pytest.raises(WorkerFault):
        workers.outcome(submissions[0])


def claimed(workers: ScriptedWorkers, queue: Queue, job_id: str) -> ClaimedJob:
    fields: Any = workers.redis.hgetall(keys.rq_job(job_id))
    return read_claimed_job(workers.redis, queue.name, job_id, fields)


def test_an_id_that_was_in_hand_before_is_not_taken_for_stranded_when_it_is_again(workers, monkeypatch):
    """What counts is how long it has been there this time: its worker is about to begin."""
    queue = Queue(queue_name(MODEL), connection=workers.redis)
    submission = workers.submit("tabby")
    workers.redis.lmove(queue.key, queue.intermediate_queue_key)
    ours = recovery(workers.redis, MODEL)
    ours.run()
    ours.skip_round()  # it was started meanwhile, and has ended
    workers.redis.delete(keys.recovery(queue.name))
    monotonic = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + 10)
    ours.run()

    assert workers.redis.lrange(queue.intermediate_queue_key, 0, -1) == [submission.job_id.encode()]

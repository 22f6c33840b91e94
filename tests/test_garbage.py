"""Whatever somebody writes into Redis costs no more than what it overwrote: no worker ends, and others are answered."""

from __future__ import annotations

import json
import os
import pickle
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ResponseError

from contract import keys, worker_registry
from contract.errors import ServiceError
from contract.job_queue import async_queue_name, queue_name
from contract.messages import Classification
from tests.support.scripted_worker import DIGEST, MODEL
from tests.support.workers import SENDER, ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from redis import Redis

    from tests.support.server import Server

QUEUES = (queue_name(MODEL), async_queue_name(MODEL))
BYTES = (b"", b"\x80\xff\x00", b"-9999", b"10000000000000000000000000000000", b"nan", b"{}", b"[[[", b"\x80\x04}.")
# A job's own fields, as RQ writes them, and those that it would obey.
JOB_FIELDS = (
    "data", "meta", "status", "origin", "timeout", "result_ttl", "failure_ttl", "created_at", "enqueued_at",
    "started_at", "ended_at", "last_heartbeat", "worker_name", "description", "retries_left", "retry_intervals",
    "dependency_ids", "group_id", "success_callback_name", "webhooks", "result",
)  # fmt: skip
WORKER_FIELDS = ("host", "digest", "batch", "service_ms")


@pytest.fixture
def workers(valkey: Server, redis: Redis, tmp_path: Path) -> Iterator[ScriptedWorkers]:
    redis.flushall()
    workers = ScriptedWorkers(valkey, tmp_path)
    yield workers
    workers.close()
    redis.flushall()


def write(redis: Redis, key: str, kind: str, value: bytes) -> None:
    """Overwrite ``key`` with a value of one of Redis' types, in one step: a worker's heartbeat may come between two."""
    with redis.pipeline() as pipe:
        pipe.delete(key)
        writers: dict[str, Callable[[], Any]] = {
            "string": lambda: pipe.set(key, value),
            "list": lambda: pipe.rpush(key, value),
            "set": lambda: pipe.sadd(key, value),
            "zset": lambda: pipe.zadd(key, {value: 1.0}),
            "hash": lambda: pipe.hset(key, "field", value),
            "stream": lambda: pipe.xadd(key, {"field": value}),
        }
        writers[kind]()
        pipe.execute()


KINDS = ("string", "list", "set", "zset", "hash", "stream")


def shared_keys(redis: Redis) -> list[str]:
    worker_ids: Any = redis.zrange(keys.workers(MODEL), 0, -1)
    queues = [
        name.format(queue)
        for queue in QUEUES
        for name in (
            "rq:queue:{}", "rq:queue:{}:intermediate", "rq:wip:{}", "rq:finished:{}", "rq:failed:{}", "rq:workers:{}",
            "recovery:{}",
        )
    ]  # fmt: skip
    return [
        *queues,
        *(keys.worker(MODEL, worker_id.decode()) for worker_id in worker_ids),
        *(f"rq:worker:{worker_id.decode()}" for worker_id in worker_ids),
        keys.workers(MODEL), keys.MODELS, keys.labels(MODEL, DIGEST), "rq:workers", "rq:queues",
    ]  # fmt: skip


def assert_answers(workers: ScriptedWorkers, script: str) -> None:
    """The service answers; whoever is refused for the time being tries again, as any client does."""

    def answered() -> bool:
        try:
            outcome = workers.outcome(workers.submit(script))
        except ServiceError:
            return False
        return isinstance(outcome, Classification) and outcome.labels[0].label == script

    eventually(answered, f"{script} is answered")


def test_whatever_a_job_holds_costs_no_other_job_anything(workers):
    """A field of a job may have been written by anybody: by RQ's own tools, by hand, by a version to come."""
    worker = workers.start()
    for number, (field, value) in enumerate((field, value) for field in JOB_FIELDS for value in BYTES):
        with workers.redis.pipeline() as pipe:  # the worker sees the job with its field forged, or not at all
            pipe.multi()
            job_id = f"forged{number}"
            job = workers.request(f"forged-{number}").queued_job(cache=True)
            workers.queue.enqueue(pipe, QUEUES[0], job_id, job, wanted_for_s=60, result_ttl_s=60)
            pipe.hset(keys.rq_job(job_id), field, value)
            pipe.execute()

    assert_answers(workers, "tabby")
    eventually(lambda: workers.redis.zcard(f"rq:wip:{QUEUES[0]}") == 0, "nothing is left over")
    assert workers.redis.llen(f"rq:queue:{QUEUES[0]}:intermediate") == 0
    assert worker.poll() is None


class Attack:
    """What makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self._folder),)


def test_nothing_that_stands_in_redis_runs_as_code(workers, tmp_path):
    """Not as a pickle, which RQ's own tools still write, and not as the name of a function, which RQ would import."""
    folder = tmp_path / "made-by-an-attack"
    attack = pickle.dumps(Attack(folder))
    pickle.loads(attack)  # noqa: S301  # it does what it is for
    folder.rmdir()
    call = json.dumps(["os.mkdir", None, [str(folder)], {}]).encode()
    worker = workers.start()
    values = (attack, zlib.compress(attack), call, zlib.compress(call), b"os.mkdir")
    for number, (field, value) in enumerate((field, value) for field in JOB_FIELDS for value in values):
        with workers.redis.pipeline() as pipe:
            pipe.multi()
            job_id = f"attack{number}"
            job = workers.request(f"attack-{number}").queued_job(cache=True)
            workers.queue.enqueue(pipe, QUEUES[0], job_id, job, wanted_for_s=60, result_ttl_s=60)
            pipe.hset(keys.rq_job(job_id), field, value)
            pipe.execute()
    stored = workers.store.put(b"stored")
    workers.redis.set(keys.answer(MODEL, DIGEST, stored), attack)
    asked = workers.create("later")
    workers.redis.hset(keys.async_job(asked.id), mapping={"computation": attack, "answer": attack})

    assert_answers(workers, "tabby")
    assert_answers(workers, "stored")
    with suppress(ServiceError):
        workers.async_jobs.read(asked.id, SENDER)
    eventually(lambda: workers.redis.zcard(f"rq:wip:{QUEUES[0]}") == 0, "nothing is left over")
    assert worker.poll() is None
    assert not folder.exists()


@pytest.mark.parametrize("name", ["rq:job:{}", "rq:results:{}", "rq:executions:{}", "wanted:{}"])
def test_a_key_of_a_job_of_another_type_costs_that_job_alone(workers, name):
    for kind in KINDS:
        for queue in QUEUES:
            submission = workers.submit(f"victim {kind} {queue}")
            write(workers.redis, name.format(submission.job_id), kind, b"\x80garbage")
    worker = workers.start()

    assert_answers(workers, "tabby")
    eventually(lambda: workers.redis.llen(f"rq:queue:{QUEUES[0]}") == 0, "nothing comes back again and again")
    assert worker.poll() is None


def test_a_pictures_holders_of_another_type_cost_its_own_jobs_alone(workers):
    for kind in [kind for kind in KINDS if kind != "zset"]:
        submission = workers.submit(f"victim {kind}")
        (name,) = {key.decode() for key in workers.redis.keys("holders:*") if workers.redis.type(key) == b"zset"}
        write(workers.redis, name, kind, b"\x80garbage")
        assert submission.job_id
    worker = workers.start()

    assert_answers(workers, "tabby")
    eventually(lambda: workers.redis.llen(f"rq:queue:{QUEUES[0]}") == 0, "nothing comes back again and again")
    eventually(lambda: not workers.redis.keys("rq:wip:*"), "nothing is left in hand")
    assert worker.poll() is None


@pytest.mark.parametrize("key", ["answer", "inflight"])
def test_a_key_of_a_picture_of_another_type_is_written_anew(workers, key):
    worker = workers.start()
    for kind in KINDS:
        picture = workers.store.put(kind.encode())
        name = keys.answer(MODEL, DIGEST, picture) if key == "answer" else keys.inflight(MODEL, picture)
        write(workers.redis, name, kind, b"\x80garbage")
        sighting = workers.queue.look(MODEL, DIGEST, picture)

        assert sighting.answer is None
        if sighting.job_id is not None:
            workers.queue.forget(MODEL, picture, sighting.job_id)
        assert_answers(workers, kind)
    assert worker.poll() is None


def is_seen(workers: ScriptedWorkers) -> bool:
    try:
        return bool(worker_registry.live_workers(workers.redis))
    except ResponseError:
        return False


@pytest.mark.long
def test_a_key_that_all_jobs_need_of_another_type_is_moved_out_of_the_way(workers):
    worker = workers.start()
    for key in shared_keys(workers.redis):
        for kind in ("string", "zset" if "queue:" in key else "list", "hash"):
            write(workers.redis, key, kind, b"\x80garbage")
            assert_answers(workers, f"{key} {kind}")
            eventually(lambda: is_seen(workers), f"the worker is seen again: {key} {kind}")
    assert worker.poll() is None


def test_an_entry_of_a_worker_that_cannot_be_is_no_worker(redis):
    """The expected wait is computed from it: one that says 0, or infinity, would stop all admission."""
    redis.flushall()
    entry = worker_registry.WorkerEntry(worker_id="w", host="h", model=MODEL, digest=DIGEST, batch=8, service_ms=20.0)
    for field in WORKER_FIELDS:
        for value in (*BYTES, b"0.0", b"inf", b"1e300", b"0"):
            worker_registry.register(redis, [MODEL])
            worker_registry.heartbeat(redis, entry)
            redis.hset(keys.worker(MODEL, "w"), field, value)
            redis.zadd(keys.MODELS, {b"\x80\xff": 10**12})
            redis.zadd(keys.workers(MODEL), {b"\x80\xff": 10**12})
            for found in worker_registry.live_workers(redis):
                assert 1 <= found.batch <= worker_registry.LARGEST_BATCH
                assert 0 <= found.service_ms <= worker_registry.LONGEST_SERVICE_MS

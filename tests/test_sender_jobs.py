"""What one sender may have of /v1/jobs, and how long a job is kept once its end was fetched."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from contract import keys
from contract.async_jobs import KEPT_AFTER_FETCH_S, AsyncJob, AsyncJobs, JobState
from contract.errors import JobNotFound, OverShare
from tests.support.scripted_worker import MODEL
from tests.support.workers import JOB_TTL_S, SENDER, ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

    from tests.support.server import Server

MOST = 3
MB = 1_000_000
NEIGHBOUR = "192.0.2.2"


@pytest.fixture
def workers(valkey: Server, redis: Redis, tmp_path: Path) -> Iterator[ScriptedWorkers]:
    redis.flushall()
    workers = ScriptedWorkers(valkey, tmp_path)
    yield workers
    workers.close()


@pytest.fixture
def few(workers: ScriptedWorkers) -> AsyncJobs:
    """Takes three jobs of a sender, of a MB each."""
    return AsyncJobs(workers.redis, workers.queue, JOB_TTL_S, per_sender=MOST, bytes_per_sender=MOST * MB)


@pytest.fixture
def create(workers: ScriptedWorkers, few: AsyncJobs):
    def create(script: str, sender: str = SENDER, key: str | None = None, size_bytes: int = 1) -> AsyncJob:
        request = workers.request(script)
        return few.create(MODEL, request, sender=sender, size_bytes=size_bytes, cache=True, key=key)

    return create


def fill(create) -> list[AsyncJob]:
    return [create(f"picture {number}") for number in range(MOST)]


def counted(workers: ScriptedWorkers, sender: str = SENDER) -> int:
    return int(workers.redis.zcard(keys.sender_jobs(sender)))


def test_a_sender_has_its_share_of_jobs_and_the_next_sender_has_as_many(create):
    fill(create)
    with pytest.raises(
        OverShare, match="too many jobs of this address, or too large ones, that are not fetched"
    ) as refused:
        create("one more")

    assert JOB_TTL_S - 60 < refused.value.retry_after_s <= JOB_TTL_S  # then the first of them expires
    create("one more", NEIGHBOUR)


def test_a_job_of_a_large_picture_counts_as_several(workers, few, create):
    """Nobody may delete its picture before it has ended: a few large ones would fill the disk for everybody."""
    large = create("picture", size_bytes=2 * MB)
    assert counted(workers) == 2
    with pytest.raises(OverShare, match="too large ones"):
        create("as large", size_bytes=2 * MB)
    create("small")

    few.cancel(large.id, SENDER)
    assert counted(workers) == 1


def test_a_single_job_is_never_too_large_for_a_share(create):
    create("picture", size_bytes=100 * MB)


@pytest.mark.parametrize("script", ["bad", "fault"], ids=["refused", "given up"])
def test_a_large_job_that_failed_counts_no_more(workers, create, script):
    create(script, size_bytes=3 * MB)
    assert counted(workers) == 3
    workers.start()

    eventually(lambda: counted(workers) == 0, "it counts no more")


def test_a_job_sent_again_with_its_key_is_answered_all_the_same(create):
    job = create("picture", key="order-7")
    fill_up = [create(f"picture {number}") for number in range(MOST - 1)]
    assert len(fill_up) == MOST - 1

    assert create("picture", key="order-7").id == job.id


def test_a_job_that_was_fetched_counts_no_more(workers, few, create):
    first, *_ = fill(create)
    workers.start()
    eventually(lambda: few.read(first.id, SENDER).state is JobState.DONE, "it is done, and fetched")

    create("one more")
    with pytest.raises(OverShare):
        create("and another")


def test_a_job_that_is_only_looked_at_while_it_waits_still_counts(few, create):
    first, *_ = fill(create)
    before = few.read(first.id, SENDER)

    assert before.state is JobState.QUEUED
    assert few.read(first.id, SENDER).expires == before.expires
    with pytest.raises(OverShare):
        create("one more")


@pytest.mark.parametrize("script", ["bad", "fault"], ids=["refused", "given up"])
def test_a_job_that_failed_counts_no_more_though_nobody_has_fetched_it(workers, create, script):
    create(script)
    assert counted(workers) == 1
    workers.start()

    eventually(lambda: counted(workers) == 0, "it counts no more")


def test_a_cancelled_job_counts_no_more(few, create):
    first, *_ = fill(create)
    few.cancel(first.id, SENDER)

    create("one more")


def test_an_expired_job_counts_no_more(workers, create):
    first, *_ = fill(create)
    workers.redis.zadd(keys.sender_jobs(SENDER), {first.id: time.time() - 1})

    create("one more")


def test_a_fetched_job_is_kept_for_ten_minutes_and_says_so(workers, few, create):
    """So that a response that gets lost is no lost answer."""
    job = create("tabby", key="order-7")
    workers.start()
    eventually(lambda: workers.queue.peek(_queued(workers, job)) != "queued", "the worker has it")
    fetched = eventually(lambda: (now := few.read(job.id, SENDER)).state is JobState.DONE and now, "it is done")

    left_s = (fetched.expires - datetime.now(UTC)).total_seconds()
    assert KEPT_AFTER_FETCH_S - 60 < left_s <= KEPT_AFTER_FETCH_S
    for name in _names(workers, job):
        assert 0 < workers.redis.ttl(name) <= KEPT_AFTER_FETCH_S
    assert few.read(job.id, SENDER) == fetched  # a second fetch makes it neither longer nor shorter
    assert create("tabby", key="order-7").id == job.id


def _queued(workers: ScriptedWorkers, job: AsyncJob) -> str:
    queued: Any = workers.redis.hget(keys.async_job(job.id), "computation")
    return str(queued.decode())


def _names(workers: ScriptedWorkers, job: AsyncJob) -> list[bytes | str]:
    queued = _queued(workers, job)
    return [keys.async_job(job.id), *workers.redis.keys("idempotency:*"), f"rq:job:{queued}", f"rq:results:{queued}"]


def test_fetching_never_makes_a_job_live_longer(workers):
    short = AsyncJobs(workers.redis, workers.queue, 60, per_sender=MOST, bytes_per_sender=10**9)
    job = short.create(MODEL, workers.request("tabby"), sender=SENDER, size_bytes=1, cache=True)
    workers.start()
    done = eventually(lambda: (now := short.read(job.id, SENDER)).state is JobState.DONE and now, "it is done")

    assert done.expires == job.expires
    assert workers.redis.ttl(keys.async_job(job.id)) <= 60


def test_an_answer_that_comes_with_the_job_is_not_fetched_by_that(workers, few):
    """Who does not look at the body of the 202 finds the job for as long as any other."""
    workers.start()
    done = workers.ended(workers.create("tabby"))
    assert done.outcome is not None
    known = few.create(MODEL, workers.request("tabby"), sender=SENDER, size_bytes=1, cache=True, answer=done.outcome)

    assert known.state is JobState.DONE
    assert (known.expires - known.created).total_seconds() == JOB_TTL_S


@pytest.mark.long
def test_what_is_kept_for_lost_responses_is_bounded_too(workers, few, create):
    """Otherwise a sender who fetches every job at once fills Redis with what he has fetched."""
    workers.start()
    jobs = []
    for number in range(2 * MOST):
        jobs.append(job := create(f"picture {number}"))
        eventually(partial(_is_done, few, job), "it is done")
    create("one more")

    kept = [bool(workers.redis.exists(keys.async_job(job.id))) for job in jobs]
    assert kept == [False] * MOST + [True] * MOST
    with pytest.raises(JobNotFound):
        few.read(jobs[0].id, SENDER)
    assert workers.redis.zcard(keys.sender_ended_jobs(SENDER)) == kept.count(True)


def _is_done(jobs: AsyncJobs, job: AsyncJob) -> bool:
    return jobs.read(job.id, SENDER).state is JobState.DONE


def test_a_dead_letter_of_an_async_job_stays_for_an_operator_though_it_was_fetched(workers, few, create):
    job = create("fault")
    workers.start()
    failed = eventually(lambda: (now := few.read(job.id, SENDER)).state is JobState.FAILED and now, "it is given up")
    dead_letter = f"rq:job:{_queued(workers, job)}"

    assert failed.expires == job.expires
    assert workers.redis.ttl(dead_letter) > KEPT_AFTER_FETCH_S

    for number in range(MOST + 1):
        few.cancel(create(f"cancelled {number}").id, SENDER)
    create("one more")
    assert not workers.redis.exists(keys.async_job(job.id))  # it had to make room
    assert workers.redis.ttl(dead_letter) > KEPT_AFTER_FETCH_S


@pytest.mark.parametrize("name", [keys.sender_jobs(SENDER), keys.sender_ended_jobs(SENDER)], ids=["counted", "ended"])
def test_what_somebody_else_writes_there_refuses_nobody(workers, create, name):
    workers.redis.set(name, "garbage")
    create("tabby")
    create("lynx")

    assert counted(workers) == 2


def test_a_dropped_job_leaves_no_result_for_a_day(workers, few, create):
    """Cancelling is cheap: what is left of it must not fill Redis."""
    job = create("tabby")
    queued = _queued(workers, job)
    few.cancel(job.id, SENDER)
    workers.start()

    eventually(lambda: workers.redis.exists(f"rq:results:{queued}"), "the worker has dropped it")
    assert workers.redis.ttl(f"rq:results:{queued}") <= 60
    assert few.read(job.id, SENDER).state is JobState.CANCELLED

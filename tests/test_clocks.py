"""Workers on machines whose clocks are wrong, and an API on another: what decides between them is Redis' clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from contract import keys, picture_holders
from contract.async_jobs import AsyncJobs, JobState
from contract.job_queue import JobQueue, queue_name
from contract.messages import Classification
from contract.redis_clients import connect
from contract.redis_clock import RedisClock, read_time_s
from model.serving.lease_record import LEASE_S
from tests.support.queues import recovery
from tests.support.scripted_worker import MODEL
from tests.support.workers import JOB_TTL_S, SENDER, eventually

if TYPE_CHECKING:
    from tests.support.server import Server
    from tests.support.workers import ScriptedWorkers

AHEAD, BEHIND = "5", "-5"  # seconds
LEASES = f"rq:wip:{queue_name(MODEL)}"
LONG = "large 1", "large 2", "large 3", "large 4", "large 5"  # alone or together they outlast a lease


@pytest.mark.parametrize("clocks", [(AHEAD, "0"), (BEHIND, "0"), (AHEAD, BEHIND)])
def test_a_job_in_hand_is_taken_away_by_nobody_whose_clock_differs(workers, clocks):
    """The leases are renewed: that one machine takes them for long gone, or for not yet begun, makes no difference."""
    for ahead_s in clocks:
        workers.start(CLOCK_AHEAD_S=ahead_s)
    submissions = [workers.submit(script) for script in LONG]
    outcomes = [workers.outcome(submission) for submission in submissions]

    assert all(isinstance(outcome, Classification) for outcome in outcomes)
    assert sorted(computed(workers)) == sorted(LONG)


@pytest.mark.parametrize(("dying", "left"), [(AHEAD, BEHIND), (BEHIND, AHEAD)])
def test_the_jobs_of_a_killed_worker_come_back_whatever_its_clock_said(workers, dying, left):
    first = workers.start(CLOCK_AHEAD_S=dying)
    submission = workers.submit("large 1")
    job = workers.create("lynx")
    eventually(workers.batches, "it is in hand")
    first.kill()
    workers.start(CLOCK_AHEAD_S=left)

    assert isinstance(workers.outcome(submission), Classification)
    assert workers.ended(job).state is JobState.DONE
    assert workers.redis.zcard(LEASES) == 0
    assert computed(workers).count("large 1") == 2


@pytest.mark.parametrize("ahead_s", [AHEAD, BEHIND])
def test_a_lease_is_written_by_redis_clock(workers, ahead_s):
    """RQ's own tools go by the scores too: by a worker's clock they would show an hour's work as long abandoned."""
    workers.start(CLOCK_AHEAD_S=ahead_s)
    before_s = read_time_s(workers.redis)
    workers.submit("hang")
    held: Any = eventually(lambda: workers.redis.zrange(LEASES, 0, -1, withscores=True), "it is in hand")
    after_s = read_time_s(workers.redis)

    assert before_s + LEASE_S - 1 < held[0][1] <= after_s + LEASE_S


def test_a_lease_that_redis_still_counts_is_not_lost_by_its_score(workers):
    """As of a worker of an older version, whose clock was behind; and once that one has died, the job comes back."""
    submission = workers.submit("tabby")
    workers.redis.delete(f"rq:queue:{queue_name(MODEL)}")
    run = f"{submission.job_id}:run"
    workers.redis.zadd(LEASES, {run: 1})
    workers.redis.hset(keys.rq_execution(run), "id", "run")
    workers.redis.pexpire(keys.rq_execution(run), LEASE_S * 1000)
    recovery_round(workers)
    held = workers.redis.zrange(LEASES, 0, -1)
    workers.redis.delete(keys.rq_execution(run))
    recovery_round(workers)

    assert held == [run.encode()]
    assert workers.redis.zcard(LEASES) == 0
    assert workers.redis.lrange(f"rq:queue:{queue_name(MODEL)}", 0, -1) == [submission.job_id.encode()]


def test_an_execution_that_never_ends_holds_no_job(workers):
    """Somebody else has written it: workers of ours let each expire."""
    submission = workers.submit("tabby")
    workers.redis.delete(f"rq:queue:{queue_name(MODEL)}")
    run = f"{submission.job_id}:run"
    workers.redis.zadd(LEASES, {run: 1})
    workers.redis.hset(keys.rq_execution(run), "id", "run")
    recovery_round(workers)

    assert workers.redis.lrange(f"rq:queue:{queue_name(MODEL)}", 0, -1) == [submission.job_id.encode()]


def test_what_an_api_writes_and_another_judges_is_by_redis_clock(workers, any_server, monkeypatch):
    """Hours between them, so that no grace hides it."""
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() - 2 * JOB_TTL_S)
    job = async_jobs_of(any_server).create(MODEL, workers.request("tabby"), sender=SENDER, size_bytes=1, cache=True)
    monkeypatch.setattr(time, "time", lambda: true_time() + 2 * JOB_TTL_S)
    ahead = async_jobs_of(any_server)
    ahead.create(MODEL, workers.request("lynx"), sender=SENDER, size_bytes=1, cache=True)  # looks what has expired
    listed, _ = ahead.listed(SENDER, 0, 9)

    assert picture_holders.held(workers.redis, [job.request.picture]) == {job.request.picture}
    assert job.id in {known.id for known in listed}
    assert abs(job.created.timestamp() - read_time_s(workers.redis)) < 60


def test_the_clock_of_this_machine_may_be_set_meanwhile(redis, monkeypatch):
    clock = RedisClock(redis)
    clock.read()
    monkeypatch.setattr(time, "time", lambda: 0.0)

    assert abs(clock.now_s() - read_time_s(redis)) < 60


def test_the_clock_is_read_again_now_and_then(redis, monkeypatch):
    """Another server may have taken over, whose clock is not that of the first."""
    clock = RedisClock(redis)
    clock.read()
    monkeypatch.setattr(redis, "time", lambda: (1, 0))
    kept = clock.now_s()
    monotonic = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: monotonic + 60)

    assert kept > 1_000_000_000
    assert clock.now_s() == 1.0


def computed(workers: ScriptedWorkers) -> list[str]:
    """Every picture that was begun."""
    return [f"large {number}" for batch in workers.batches() for number in batch.split() if number != "large"]


def recovery_round(workers: ScriptedWorkers) -> None:
    workers.redis.delete(keys.recovery(queue_name(MODEL)))
    recovery(workers.redis, MODEL).run()


def async_jobs_of(server: Server) -> AsyncJobs:
    commands = connect(server.api_url)
    return AsyncJobs(commands, JobQueue(commands, commands), JOB_TTL_S, per_sender=9, bytes_per_sender=10**9)

"""Async jobs in a real server, without workers: what is written, how long it lives, and what belongs to which job."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from contract import keys
from contract.async_jobs import ID, AsyncJob, AsyncJobs, Fault, JobRequest, JobState
from contract.errors import BackendDown, JobNotFound, KeyReused, UnknownOutcome
from contract.job_queue import FAILURE_TTL_S, JobQueue, async_queue_name
from contract.messages import Classification, Label, Timings
from contract.redis_clients import connect, connect_for_waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Server

MODEL = "resnet50"
TTL_S = 3600
PER_SENDER = 100
SENDER = "192.0.2.1"
REQUEST = JobRequest("a" * 64, top_k=3, min_score=0.25, top_k_sent=True)
ANSWER = Classification(MODEL, "d" * 64, (Label("tabby", 0.9),), Timings(3.0, 20.0))
ASYNC_QUEUE = f"rq:queue:{async_queue_name(MODEL)}"


@pytest.fixture
def redis(any_server: Server) -> Iterator[Redis]:
    """An empty server, for the test to look at."""
    with Redis.from_url(any_server.operator_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def commands(any_server: Server, redis: Redis) -> Iterator[Redis]:  # noqa: ARG001  # it is empty
    with connect(any_server.api_url) as client:
        yield client


@pytest.fixture
def queue(commands: Redis, any_server: Server) -> JobQueue:
    return JobQueue(commands, connect_for_waiting(any_server.api_url))


@pytest.fixture
def async_jobs(commands: Redis, queue: JobQueue) -> AsyncJobs:
    return AsyncJobs(commands, queue, TTL_S, per_sender=PER_SENDER, bytes_per_sender=10**9)


def create(async_jobs: AsyncJobs, request: JobRequest = REQUEST, key: str | None = None) -> AsyncJob:
    return async_jobs.create(MODEL, request, sender=SENDER, size_bytes=1, cache=True, key=key)


def test_an_async_job_and_its_queued_job_live_equally_long(async_jobs, redis):
    """In one MULTI: neither exists without the other, and neither outlives the other."""
    job = create(async_jobs)
    (queued_id,) = (entry.decode() for entry in redis.lrange(ASYNC_QUEUE, 0, -1))

    assert job.state is JobState.QUEUED
    assert (job.request, job.outcome) == (REQUEST, None)
    assert (job.expires - job.created).total_seconds() == TTL_S
    for key in (keys.async_job(job.id), keys.wanted(queued_id)):
        assert TTL_S - 60 < redis.ttl(key) <= TTL_S
    assert redis.hget(f"rq:job:{queued_id}", "result_ttl") == str(TTL_S).encode()
    assert redis.keys("inflight:*") == []


def test_a_dead_letter_stays_as_long_as_its_job(commands, queue, redis):
    """If jobs live for a month, the usual week would end before the job does, and the job would be renewed."""
    month_s = 30 * 86400
    create(AsyncJobs(commands, queue, month_s, per_sender=PER_SENDER, bytes_per_sender=10**9))
    (queued_id,) = (entry.decode() for entry in redis.lrange(ASYNC_QUEUE, 0, -1))

    assert redis.hget(f"rq:job:{queued_id}", "failure_ttl") == str(month_s).encode()
    assert month_s > FAILURE_TTL_S


def test_a_stored_answer_is_copied_and_nothing_is_computed(async_jobs, redis):
    """The job lives for a day, the stored answer for minutes."""
    job = async_jobs.create(MODEL, REQUEST, sender=SENDER, size_bytes=1, cache=True, answer=ANSWER)

    assert (job.state, job.outcome) == (JobState.DONE, ANSWER)
    assert not redis.exists(ASYNC_QUEUE)


def test_ids_are_random_and_never_those_of_queued_jobs(async_jobs, redis):
    """Queued jobs' IDs are in logs and in RQ's tools; an async job's ID is all that is needed to read and cancel it."""
    ids = {create(async_jobs).id for _ in range(20)}
    queued_ids = {entry.decode() for entry in redis.lrange(ASYNC_QUEUE, 0, -1)}

    assert len(ids) == 20
    assert all(ID.fullmatch(job_id) for job_id in ids)
    assert not ids & queued_ids


@pytest.mark.parametrize("job_id", ["0" * 32, "", "x" * 32, "0" * 31, "0" * 32 + "\n", "A" * 32, "*", "a:b"])
def test_an_id_of_no_job_is_not_found(async_jobs, job_id):
    """What can't be an ID never reaches Redis; what can be one is answered the same way."""
    for ask in (async_jobs.read, async_jobs.cancel):
        with pytest.raises(JobNotFound):
            ask(job_id, SENDER)


def test_a_job_that_cannot_be_read_is_not_found(async_jobs, redis):
    """Another version may have written it."""
    job = create(async_jobs)
    redis.hset(keys.async_job(job.id), "top_k", "many")

    with pytest.raises(JobNotFound):
        async_jobs.read(job.id, SENDER)


def test_a_job_with_an_answer_of_a_kind_to_come_is_not_lost(async_jobs, redis):
    """A newer version copied it in. "There is no such job" would make its sender send it again."""
    job = async_jobs.create(MODEL, REQUEST, sender=SENDER, size_bytes=1, cache=True, answer=ANSWER, key="order-7")
    redis.hset(keys.async_job(job.id), "answer", '{"outcome": "of a kind to come"}')

    for ask in (lambda: async_jobs.read(job.id, SENDER), lambda: create(async_jobs, key="order-7")):
        with pytest.raises(UnknownOutcome):
            ask()


@pytest.mark.parametrize(("first", "again"), [(True, False), (False, True), (False, False), (True, True)])
def test_a_key_sent_with_the_default_spelt_out_or_left_out_means_the_same(async_jobs, first, again):
    """A client library may begin to send what it left to the service before."""
    one, two = (replace(REQUEST, top_k_sent=sent) for sent in (first, again))

    assert create(async_jobs, one, key="order-7").id == create(async_jobs, two, key="order-7").id


def test_an_expired_job_is_gone_with_its_key(commands, queue, redis):
    """The same key then creates a new job."""
    short = AsyncJobs(commands, queue, 1, per_sender=PER_SENDER, bytes_per_sender=10**9)
    first = create(short, key="order-7")
    redis.pexpire(keys.async_job(first.id), 1)  # the key itself lives for a moment more
    while redis.exists(keys.async_job(first.id)):
        pass
    second = create(short, key="order-7")

    assert second.id != first.id
    assert create(short, key="order-7").id == second.id


def test_the_same_key_returns_the_same_job(async_jobs, redis):
    """A sender that does not know whether its request arrived sends it again."""
    first, second = create(async_jobs, key="order-7"), create(async_jobs, key="order-7")

    assert first == second
    assert redis.llen(ASYNC_QUEUE) == 1
    (holder,) = redis.keys("idempotency:*")
    assert TTL_S - 60 < redis.ttl(holder) <= TTL_S


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, picture="b" * 64), replace(REQUEST, top_k=4), replace(REQUEST, min_score=0.5),
        replace(REQUEST, strict=False),
    ],
)  # fmt: skip
def test_the_same_key_for_another_request_is_refused(async_jobs, redis, other):
    """Returning the first request's job would answer a question that was not asked."""
    create(async_jobs, key="order-7")

    with pytest.raises(KeyReused):
        create(async_jobs, other, key="order-7")
    assert redis.llen(ASYNC_QUEUE) == 1


def test_a_lenient_job_is_known_again_by_its_key(async_jobs):
    """What a job is does not depend on which process reads it."""
    lenient = replace(REQUEST, strict=False)
    job = create(async_jobs, lenient, key="order-7")

    assert async_jobs.read(job.id, SENDER).request == lenient
    assert create(async_jobs, lenient, key="order-7").id == job.id
    with pytest.raises(KeyReused):
        create(async_jobs, REQUEST, key="order-7")


def test_strictness_is_written_only_where_it_is_not_the_rule(async_jobs, redis):
    """A strict job is in Redis what it always was, and costs no more."""
    strict, lenient = create(async_jobs), create(async_jobs, replace(REQUEST, strict=False))
    strict_id, lenient_id = (redis.hget(keys.async_job(job.id), "computation").decode() for job in (strict, lenient))

    assert not redis.hexists(keys.async_job(strict.id), "strict")
    assert "strict" not in meta(redis, strict_id)
    assert redis.hget(keys.async_job(lenient.id), "strict") == b"0"
    assert meta(redis, lenient_id)["strict"] is False


def meta(redis: Redis, queued_id: str) -> dict[str, Any]:
    return dict(json.loads(redis.hget(keys.rq_job(queued_id), "meta") or ""))


def test_without_a_key_every_request_has_a_job_of_its_own(async_jobs, redis):
    assert create(async_jobs).id != create(async_jobs).id
    assert redis.llen(ASYNC_QUEUE) == 2


def test_many_at_once_with_the_same_key_get_one_job(async_jobs, redis):
    """A client whose retries overtake each other: one async job, one queued job."""
    for turn in range(10):
        start = Barrier(8)

        def send(_: int, start: Barrier = start, turn: int = turn) -> str:
            start.wait()
            return create(async_jobs, key=f"order-{turn}").id

        with ThreadPoolExecutor(8) as senders:
            ids = set(senders.map(send, range(8)))

        assert len(ids) == 1
    assert redis.llen(ASYNC_QUEUE) == len(redis.keys("ticket:*")) == 10


def test_a_cancelled_job_stays_cancelled_and_is_no_longer_wanted(async_jobs, redis):
    job = create(async_jobs)
    cancelled = async_jobs.cancel(job.id, SENDER)

    assert cancelled.state is JobState.CANCELLED
    assert redis.keys("wanted:*") == []
    assert async_jobs.cancel(job.id, SENDER) == async_jobs.read(job.id, SENDER) == cancelled


def test_the_key_of_a_cancelled_job_still_returns_that_job(async_jobs):
    """A late retry must not undo the cancellation."""
    job = create(async_jobs, key="order-7")
    async_jobs.cancel(job.id, SENDER)

    assert create(async_jobs, key="order-7").state is JobState.CANCELLED


def test_an_async_job_whose_queued_job_was_deleted_gets_another_once(async_jobs, redis):
    """Nothing accepted is lost, not even when a person empties the queue by hand; a second time, the job has failed."""
    job = create(async_jobs)
    for state in (JobState.QUEUED, JobState.FAILED):
        (queued_id,) = (entry.decode() for entry in redis.lrange(ASYNC_QUEUE, 0, -1))
        redis.delete(f"rq:job:{queued_id}", ASYNC_QUEUE)

        assert async_jobs.read(job.id, SENDER).state is state
    outcome = async_jobs.read(job.id, SENDER).outcome
    assert isinstance(outcome, Fault)
    assert outcome.kind == "lost"
    assert not redis.exists(ASYNC_QUEUE)


def test_the_job_queued_in_place_of_a_lost_one_is_as_lenient(async_jobs, redis):
    job = create(async_jobs, replace(REQUEST, strict=False))
    (lost_id,) = (entry.decode() for entry in redis.lrange(ASYNC_QUEUE, 0, -1))
    redis.delete(f"rq:job:{lost_id}", ASYNC_QUEUE)
    async_jobs.read(job.id, SENDER)
    (queued_id,) = (entry.decode() for entry in redis.lrange(ASYNC_QUEUE, 0, -1))

    assert meta(redis, queued_id) == {"strict": False, "async_job": job.id, "sender": SENDER, "places": 1}


def test_simultaneous_readers_of_a_lost_job_submit_one(async_jobs, redis):
    job = create(async_jobs)
    (queued_id,) = (entry.decode() for entry in redis.lrange(ASYNC_QUEUE, 0, -1))
    redis.delete(f"rq:job:{queued_id}", ASYNC_QUEUE)
    with ThreadPoolExecutor(8) as readers:
        states = set(readers.map(lambda _: async_jobs.read(job.id, SENDER).state, range(8)))

    assert states == {JobState.QUEUED}
    assert redis.llen(ASYNC_QUEUE) == 1
    assert TTL_S - 60 < redis.ttl(keys.async_job(job.id)) <= TTL_S


def test_an_async_job_whose_queued_job_vanished_can_be_cancelled(async_jobs, redis):
    job = create(async_jobs)
    (queued_id,) = (entry.decode() for entry in redis.lrange(ASYNC_QUEUE, 0, -1))
    redis.delete(f"rq:job:{queued_id}", ASYNC_QUEUE)

    assert async_jobs.cancel(job.id, SENDER).state is JobState.CANCELLED
    assert not redis.exists(ASYNC_QUEUE)


def test_an_absent_redis_is_reported_as_such(tmp_path):
    url = f"unix://{tmp_path}/nothing"
    jobs = AsyncJobs(
        connect(url),
        JobQueue(connect(url), connect_for_waiting(url)),
        TTL_S,
        per_sender=PER_SENDER,
        bytes_per_sender=10**9,
    )

    for ask in (lambda: create(jobs), lambda: jobs.read("0" * 32, SENDER), lambda: jobs.cancel("0" * 32, SENDER)):
        with pytest.raises(BackendDown):
            ask()


# Whose they are


A, B = "key:a", "key:b"


def of(async_jobs: AsyncJobs, sender: str, key: str | None = None, request: JobRequest = REQUEST) -> AsyncJob:
    return async_jobs.create(MODEL, request, sender=sender, size_bytes=1, cache=True, key=key)


def test_a_job_of_a_key_is_there_for_that_key_alone(async_jobs):
    job = of(async_jobs, A)

    for another in (B, SENDER):
        with pytest.raises(JobNotFound):
            async_jobs.read(job.id, another)
        with pytest.raises(JobNotFound):
            async_jobs.cancel(job.id, another)
    assert async_jobs.read(job.id, A).state is JobState.QUEUED


def test_a_job_that_was_sent_without_a_key_is_there_for_whoever_knows_its_id(async_jobs):
    """As before there were keys: its sender may have one by now."""
    job = of(async_jobs, SENDER)

    assert async_jobs.read(job.id, A) == async_jobs.read(job.id, "192.0.2.99") == job


def test_an_idempotency_key_belongs_to_the_name_of_the_key(async_jobs):
    """Two who happen to number their orders alike get their own jobs; one who rotates its secret keeps its own."""
    jobs = {sender: of(async_jobs, sender, "order-7").id for sender in (A, B, SENDER)}

    assert len(set(jobs.values())) == 3
    assert {sender: of(async_jobs, sender, "order-7").id for sender in (A, B, SENDER)} == jobs
    assert of(async_jobs, "192.0.2.99", "order-7").id == jobs[SENDER]  # all without a key share one namespace


def test_an_idempotency_key_that_was_sent_before_its_sender_had_a_key_is_honoured(async_jobs):
    """Otherwise a sender who repeats a request over the upgrade would have two jobs."""
    before = of(async_jobs, SENDER, "order-7")

    assert of(async_jobs, A, "order-7").id == before.id
    with pytest.raises(KeyReused):
        of(async_jobs, A, "order-7", JobRequest("b" * 64, top_k=3, min_score=0.25, top_k_sent=True))


def test_a_sender_lists_its_own_jobs_the_latest_first(async_jobs, redis):
    jobs = [of(async_jobs, A).id for _ in range(3)]
    of(async_jobs, B)
    for age, job_id in enumerate(reversed(jobs)):
        redis.zadd(f"jobs:{A}", {job_id: time.time() + TTL_S - 10 * age})  # created some seconds apart
    async_jobs.cancel(jobs[1], A)
    listed, more = async_jobs.listed(A, 0, 2)
    rest, end = async_jobs.listed(A, 2, 2)

    assert ([job.id for job in listed], more) == ([jobs[1], jobs[2]], True)  # it was cancelled just now
    assert ([job.id for job in rest], end) == ([jobs[0]], False)
    assert [job.state for job in listed] == [JobState.CANCELLED, JobState.QUEUED]
    redis.delete(f"ticket:{jobs[2]}")
    assert [job.id for job in async_jobs.listed(A, 0, 2)[0]] == [jobs[1]]


def test_a_list_takes_as_many_round_trips_whatever_its_length(async_jobs, redis):
    def looked() -> int:
        before: int = redis.info("stats")["total_reads_processed"]
        async_jobs.listed(A, 0, 50)
        after: int = redis.info("stats")["total_reads_processed"]
        return after - before - 1

    of(async_jobs, A)
    one = looked()
    for _ in range(5):
        of(async_jobs, A)

    assert one == looked() == 3


def test_a_job_of_a_newer_version_does_not_keep_a_sender_from_the_list_of_the_others(async_jobs, redis):
    of_a_kind_to_come, other = (of(async_jobs, A).id for _ in range(2))
    redis.hset(f"ticket:{of_a_kind_to_come}", "answer", '{"outcome": "detections"}')

    assert [job.id for job in async_jobs.listed(A, 0, 2)[0]] == [other]

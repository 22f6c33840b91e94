"""The life of a job on a real server with real worker processes; only the network is scripted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from contract import keys
from contract.async_jobs import PICTURE_LOST, FaultKind, JobState
from contract.errors import JobEnded
from contract.job_queue import async_queue_name
from contract.messages import Classification, Failure, FailureKind
from model.serving.priority_queues import ASYNC_TURN
from tests.support.scripted_worker import DIGEST, MODEL
from tests.support.workers import SENDER, eventually

if TYPE_CHECKING:
    from contract.async_jobs import AsyncJob

QUEUE = f"rq:queue:{async_queue_name(MODEL)}"


def label_of(job: AsyncJob) -> str:
    assert job.state is JobState.DONE
    assert isinstance(job.outcome, Classification)
    return job.outcome.labels[0].label


def test_a_job_is_queued_then_running_then_done(workers):
    """And its result stays for as long as the job."""
    job = workers.create("slow")
    assert job.state is JobState.QUEUED

    workers.start()
    eventually(lambda: workers.async_jobs.read(job.id, SENDER).state is JobState.RUNNING, "the job runs")

    assert label_of(workers.ended(job)) == "slow"
    (result,) = workers.redis.keys("rq:results:*")
    assert workers.redis.ttl(result) >= workers.redis.ttl(keys.async_job(job.id)) > 0


def test_a_job_without_a_worker_waits_for_one(workers):
    job = workers.create("tabby")
    assert workers.async_jobs.read(job.id, SENDER).state is JobState.QUEUED

    workers.start()
    assert label_of(workers.ended(job)) == "tabby"


def test_a_picture_that_cannot_be_read_fails_its_job_alone(workers):
    bad, good = workers.create("bad"), workers.create("tabby")
    workers.start()

    failed = workers.ended(bad)
    assert (failed.state, failed.outcome) == (JobState.FAILED, Failure(FailureKind.UNDECODABLE, "scripted"))
    assert label_of(workers.ended(good)) == "tabby"


def test_a_job_that_was_given_up_says_so(workers):
    """Our fault, after three tries: a dead letter, and no hint of what went wrong internally."""
    job = workers.create("fault")
    workers.start()

    failed = workers.ended(job)
    assert failed.state is JobState.FAILED
    assert failed.outcome.kind is FaultKind.GIVEN_UP
    assert "scripted" not in failed.outcome.detail
    assert workers.batches() == ["fault"] * 3
    assert workers.redis.zcard(f"rq:failed:{async_queue_name(MODEL)}") == 1


def test_a_dead_letter_that_an_operator_requeues_can_still_be_done(workers, tmp_path):
    """Once the fault is fixed, the picture need not be sent again."""
    job = workers.create("fault")
    workers.start()
    workers.ended(job)
    (tmp_path / "mended").touch()
    letters = FailedJobRegistry(async_queue_name(MODEL), connection=workers.redis, serializer=JSONSerializer)
    letters.requeue(letters.get_job_ids()[0])

    eventually(lambda: workers.async_jobs.read(job.id, SENDER).state is JobState.DONE, "the job is done")
    assert label_of(workers.async_jobs.read(job.id, SENDER)) == "fault"


def test_the_job_of_a_killed_worker_is_done_by_another(workers):
    """Its lease runs out; the job never shows a failure meanwhile."""
    doomed = workers.start()
    job = workers.create("slow")
    eventually(workers.batches, "a batch begins")
    doomed.kill()
    workers.start()

    assert label_of(workers.ended(job)) == "slow"
    assert workers.redis.zcard(f"rq:wip:{async_queue_name(MODEL)}") == 0


def test_a_job_stranded_between_queue_and_start_comes_back(workers):
    job = workers.create("tabby")
    workers.redis.lmove(QUEUE, f"{QUEUE}:intermediate")
    workers.start()

    assert label_of(workers.ended(job)) == "tabby"


def test_a_job_neither_joins_nor_is_joined(workers):
    """A request must not wait for a job's turn, nor a job end because requests gave up."""
    request, job = workers.submit("tabby"), workers.create("tabby")
    another = workers.submit("tabby")
    workers.start()

    assert (another.joined, another.job_id) == (True, request.job_id)
    assert label_of(workers.ended(job)) == "tabby"
    assert workers.batches() == ["tabby", "tabby"]


@pytest.mark.parametrize("cache", [True, False])
def test_a_jobs_answer_serves_later_requests_unless_the_cache_is_off(workers, cache):
    workers.start()
    workers.ended(workers.create("tabby", cache=cache))

    sighting = workers.queue.look(MODEL, DIGEST, workers.store.put(b"tabby"))
    assert isinstance(sighting.answer, Classification) is cache


def test_requests_go_before_async_jobs(workers):
    """However long the async jobs' queue is, a person at the page does not wait for it."""
    jobs = [workers.create(f"job-{n}") for n in range(9)]
    requests = [workers.submit(f"request-{n}") for n in range(5)]
    workers.start()
    for job in jobs:
        workers.ended(job)

    order = [batch.split("-")[0] for batch in workers.batches()]
    assert order == ["request", "request", "job", "job", "job"]
    assert all(isinstance(workers.outcome(request), Classification) for request in requests)


def test_jobs_get_their_turn_beside_requests_that_never_end(workers):
    """Otherwise a service that is always busy would keep them waiting until they expire."""
    workers.create("job")
    requests = [workers.submit(f"request-{n}") for n in range(4 * 2 * ASYNC_TURN)]
    workers.start()
    for request in requests:
        workers.outcome(request)

    assert workers.batches().index("job") == ASYNC_TURN - 1


def test_a_cancelled_job_is_never_computed(workers):
    job = workers.create("tabby")
    workers.async_jobs.cancel(job.id, SENDER)
    workers.start()
    eventually(lambda: not workers.redis.exists(QUEUE), "its turn comes")

    assert workers.async_jobs.read(job.id, SENDER).state is JobState.CANCELLED
    assert workers.batches() == []


def test_a_job_cancelled_while_it_runs_stays_cancelled(workers):
    """The result is still written, but not shown."""
    workers.start()
    job = workers.create("slow")
    eventually(workers.batches, "it runs")
    workers.async_jobs.cancel(job.id, SENDER)
    eventually(lambda: workers.redis.keys("rq:results:*"), "its result comes")

    assert workers.async_jobs.read(job.id, SENDER).state is JobState.CANCELLED


@pytest.mark.parametrize("script", ["tabby", "bad"])
def test_an_ended_job_cannot_be_cancelled(workers, script):
    """A result that its sender may have read must not change."""
    workers.start()
    ended = workers.ended(workers.create(script))

    with pytest.raises(JobEnded):
        workers.async_jobs.cancel(ended.id, SENDER)
    assert workers.async_jobs.read(ended.id, SENDER) == ended


def test_a_job_dropped_by_mistake_is_computed_after_all(workers):
    """Its ``wanted`` key was deleted, and not by its sender; even then nothing accepted is lost."""
    job = workers.create("tabby")
    workers.redis.delete(*workers.redis.keys("wanted:*"))
    workers.start()

    assert label_of(workers.ended(job)) == "tabby"


def test_a_restart_of_the_server_loses_no_job(workers, any_server):
    """Queued, running and done: with the append-only file on, each continues where it was."""
    done, key_holder = workers.create("tabby"), workers.create("lynx", key="order-7")
    workers.start()
    workers.ended(done)
    running, queued = workers.create("slow"), workers.create("late")
    eventually(lambda: workers.async_jobs.read(running.id, SENDER).state is JobState.RUNNING, "it runs")
    any_server.stop()
    any_server.start()

    assert label_of(workers.ended(done)) == "tabby"
    assert label_of(workers.ended(running)) == "slow"
    assert label_of(workers.ended(queued)) == "late"
    assert workers.create("lynx", key="order-7").id == key_holder.id


def test_a_restart_of_everything_loses_no_job(workers, any_server):
    """Every process ends, the workers are killed; their successors know only what Redis has kept."""
    doomed = workers.start()
    running, queued = workers.create("slow"), workers.create("tabby")
    eventually(workers.batches, "a batch begins")
    doomed.kill()
    any_server.stop()
    any_server.start()
    assert workers.redis.exists(keys.async_job(queued.id))
    workers.start()

    assert label_of(workers.ended(running)) == "slow"
    assert label_of(workers.ended(queued)) == "tabby"


def test_a_job_whose_picture_the_disk_has_lost_fails_and_is_no_dead_letter(workers):
    """Its sender learns that sending the picture again helps; nothing is left for an operator to look at."""
    job = workers.create("gone")
    next(workers.folder.rglob(job.request.picture)).write_bytes(b"zero")
    workers.start()
    ended = workers.ended(job)

    assert (ended.state, ended.outcome) == (JobState.FAILED, PICTURE_LOST)
    assert workers.redis.zcard(f"rq:failed:{async_queue_name(MODEL)}") == 0

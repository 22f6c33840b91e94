"""The life of a job on a real server with real worker processes; only the network is scripted."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import zlib
from concurrent.futures import wait
from pathlib import Path

import pytest
from rq import Queue
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from contract import keys, worker_registry
from contract.async_jobs import JobState
from contract.deadline import Deadline
from contract.errors import DeadlineExceeded, WorkerFault
from contract.job_queue import async_queue_name, bulk_async_queue_name, bulk_queue_name, queue_name
from contract.messages import Classification, ClassifyJob, Dropped, Failure, Lost
from model.serving.batcher import Batcher
from model.serving.lease import EXIT_HUNG
from tests.support.scripted_worker import DIGEST, MODEL
from tests.support.workers import WAIT_S, ScriptedWorkers, eventually

QUEUE = f"rq:queue:{queue_name(MODEL)}"


def label_of(outcome: object) -> str:
    assert isinstance(outcome, Classification)
    return outcome.labels[0].label


def dead_letters(workers: ScriptedWorkers) -> list[str]:
    return FailedJobRegistry(queue_name(MODEL), connection=workers.redis).get_job_ids(cleanup=False)


def test_a_job_is_answered_and_its_answer_serves_the_same_picture_again(workers):
    """The second request of a picture costs one look and no worker."""
    workers.start()
    submission = workers.submit("tabby")

    assert label_of(workers.outcome(submission)) == "tabby"
    picture = workers.store.put(b"tabby")
    sighting = workers.queue.look(MODEL, DIGEST, picture)
    assert sighting.answer is not None
    assert label_of(sighting.answer) == "tabby"
    assert sighting.job_id is None


def test_the_same_picture_twice_at_once_is_computed_once(workers):
    """The second sender joins the job in flight and gets its result."""
    first, second = workers.submit("tabby"), workers.submit("tabby")
    workers.start()

    assert (first.joined, second.joined) == (False, True)
    assert second.job_id == first.job_id
    assert label_of(workers.outcome(second)) == "tabby"
    assert workers.batches() == ["tabby"]


def test_the_same_picture_strictly_and_not_are_two_jobs_of_one_batch(workers):
    """They never share an answer, not even when they come together; each serves later requests of its own kind."""
    strict, lenient = workers.submit("damaged"), workers.submit("damaged", strict=False)
    workers.start()
    outcome = workers.outcome(lenient)

    assert (strict.joined, lenient.joined) == (False, False)
    assert isinstance(workers.outcome(strict), Failure)
    assert isinstance(outcome, Classification)
    assert outcome.damaged
    assert workers.batches() == ["damaged damaged"]
    picture = workers.store.put(b"damaged")
    assert workers.queue.look(MODEL, DIGEST, picture).answer is None
    sighting = workers.queue.look(MODEL, DIGEST, ClassifyJob(picture, cache=True, strict=False).computation)
    assert sighting.answer == outcome
    assert sighting.job_id is None


def test_a_lenient_job_stays_so_when_it_has_to_be_run_again(workers):
    """Its tries are counted where its strictness stands."""
    workers.submit("fault")
    lenient = workers.submit("damaged", strict=False)
    workers.start()
    outcome = workers.outcome(lenient)
    meta = json.loads(workers.redis.hget(keys.rq_job(lenient.job_id), "meta") or b"")

    assert workers.batches()[0] == "damaged fault"
    assert isinstance(outcome, Classification)
    assert outcome.damaged
    assert meta == {"strict": False, "tries_alone": 1}


def test_what_waits_is_computed_together(workers):
    """Batches form from what is already there, up to the limit of four."""
    submissions = [workers.submit(f"cat-{n}") for n in range(6)]
    workers.start()

    assert [label_of(workers.outcome(submission)) for submission in submissions] == [f"cat-{n}" for n in range(6)]
    assert workers.batches() == ["cat-0 cat-1 cat-2 cat-3", "cat-4 cat-5"]


def test_a_worker_leaves_the_others_their_share_of_a_short_queue(workers):
    """One that took all of it would compute for long while they stand idle."""
    workers.redis.zadd(keys.workers(MODEL), {"another": time.time() + WAIT_S})  # busy elsewhere
    submissions = [workers.submit(f"cat-{n}") for n in range(5)]
    workers.start()

    assert [label_of(workers.outcome(submission)) for submission in submissions] == [f"cat-{n}" for n in range(5)]
    assert workers.batches() == ["cat-0 cat-1 cat-2", "cat-3", "cat-4"]


@pytest.mark.parametrize(
    ("waiting", "alive", "taken"),
    [(1, 1, 1), (8, 1, 4), (1, 2, 1), (5, 2, 3), (8, 2, 4), (12, 2, 4), (3, 8, 1)],
)  # fmt: skip
def test_a_batch_is_a_workers_share_of_what_waits_up_to_the_limit(workers, waiting, alive, taken):
    """No worker idles while the queue is short, and batches are full when it is long."""
    for number in range(waiting):
        workers.submit(f"cat-{number}")
    queue = Queue(queue_name(MODEL), connection=workers.redis, serializer=JSONSerializer)
    batch = Batcher(workers.redis, queue, batch_max=4, batch_wait_s=0.0, workers=lambda: alive).take(waiting)

    assert batch is not None
    assert len(batch.runnable) == taken
    assert workers.redis.llen(QUEUE) == waiting - taken


def test_a_bad_picture_fails_alone_and_as_a_result(workers):
    """It is the sender's fault: no retry, no dead letter, and its neighbours are answered."""
    bad, good = workers.submit("bad"), workers.submit("tabby")
    workers.start()

    assert isinstance(workers.outcome(bad), Failure)
    assert label_of(workers.outcome(good)) == "tabby"
    assert workers.batches() == ["bad tabby"]
    assert dead_letters(workers) == []


def test_the_jobs_of_a_killed_worker_are_answered_by_another(workers):
    """Nothing accepted is lost when a worker is killed with a batch in hand."""
    doomed = workers.start()
    submissions = [workers.submit(f"slow-{n}") for n in range(3)]
    eventually(workers.batches, "a batch begins")
    doomed.kill()
    workers.start()

    assert sorted(label_of(workers.outcome(submission)) for submission in submissions) == ["slow-0", "slow-1", "slow-2"]
    assert workers.redis.zcard(f"rq:wip:{queue_name(MODEL)}") == 0


def test_a_batch_may_take_long_as_long_as_its_pictures_come_along(workers):
    """The limit is for a worker that hangs; four large HEICs are just work."""
    submissions = [workers.submit(f"large-{n}") for n in range(4)]
    worker = workers.start(COMPUTE_LIMIT_S="2")

    assert [label_of(workers.outcome(submission)) for submission in submissions] == [f"large-{n}" for n in range(4)]
    assert len(workers.batches()) == 1
    assert worker.poll() is None


def test_a_worker_that_hangs_ends_itself(workers):
    """No signal reaches native code; without this no other worker would ever get its jobs."""
    workers.submit("hang")

    assert workers.start(COMPUTE_LIMIT_S="1").wait(WAIT_S) == EXIT_HUNG


def test_an_id_stranded_between_queue_and_start_comes_back(workers):
    """A worker may be killed after it took an ID and before it began the job."""
    submission = workers.submit("tabby")
    workers.redis.lmove(QUEUE, f"{QUEUE}:intermediate")
    workers.start()

    assert label_of(workers.outcome(submission)) == "tabby"
    assert workers.redis.llen(f"{QUEUE}:intermediate") == 0


@pytest.mark.long
def test_a_poison_picture_is_given_up_and_its_neighbours_pay_nothing(workers):
    """It kills the worker with its batch once, then three workers alone; the neighbours are answered meanwhile."""
    poison, *good = (workers.submit(script) for script in ("poison", "a", "b"))
    answers = [workers.outcome_later(submission) for submission in good]
    verdict = workers.outcome_later(poison)
    while not (verdict.done() and all(answer.done() for answer in answers)):
        worker = workers.start()
        eventually(lambda: worker.poll() is not None or verdict.done(), "the worker dies, or the poison is given up")  # noqa: B023

    with pytest.raises(WorkerFault):
        verdict.result()
    assert sorted(label_of(answer.result()) for answer in answers) == ["a", "b"]
    assert workers.batches().count("poison") == 3
    assert dead_letters(workers) == [poison.job_id]


def test_our_own_fault_is_tried_three_times_and_then_seen(workers):
    """A fault of the worker is never served as an answer: it ends as a dead letter with the reason."""
    workers.start()
    submission = workers.submit("fault")

    with pytest.raises(WorkerFault):
        workers.outcome(submission)
    assert workers.batches() == ["fault"] * 3
    assert dead_letters(workers) == [submission.job_id]
    job = Queue(queue_name(MODEL), connection=workers.redis, serializer=JSONSerializer).fetch_job(submission.job_id)
    assert job is not None
    result = job.latest_result()
    assert result is not None
    assert "scripted fault" in (result.exc_string or "")


@pytest.mark.parametrize("others_bytes", [None, b"", bytes(4), b"lynx"], ids=["gone", "empty", "zeros", "another"])
def test_a_picture_that_the_disk_has_lost_is_no_dead_letter_and_never_another_pictures_label(workers, others_bytes):
    """Somebody deleted it, or a power failure left zeros, or another picture's bytes, under its name."""
    lost, *others = (workers.submit(script) for script in ("gone", "cat-0", "cat-1"))
    picture = workers.store.put(b"gone")
    file = next(workers.folder.rglob(picture))
    file.unlink() if others_bytes is None else file.write_bytes(others_bytes)
    workers.start()

    assert [label_of(workers.outcome(other)) for other in others] == ["cat-0", "cat-1"]
    assert workers.outcome(lost) == Lost()
    assert workers.batches() == ["cat-0 cat-1"]
    assert dead_letters(workers) == []
    assert f"picture {picture} is not in the store" in (workers.folder / "workers.log").read_text()

    again = workers.submit("gone")

    assert label_of(workers.outcome(again)) == "gone"


def test_every_end_lets_the_picture_be_submitted_anew(workers):
    """No later request may join a job that came to nothing."""
    workers.start()
    for script in ("fault", "bad", "tabby"):
        submission = workers.submit(script)
        wait([workers.outcome_later(submission)])

        assert workers.redis.get(keys.inflight(MODEL, workers.store.put(script.encode()))) is None


def test_a_job_that_nobody_wants_any_more_is_dropped_unseen(workers):
    """Computing for a client that has gone would make those who wait wait longer."""
    submission = workers.submit("tabby", wanted_for_s=0.01)
    eventually(lambda: not workers.redis.exists(keys.wanted(submission.job_id)), "nobody wants it any more")
    workers.start()

    assert isinstance(workers.outcome(submission), Dropped)
    assert workers.batches() == []
    assert workers.redis.get(keys.inflight(MODEL, workers.store.put(b"tabby"))) is None


def test_a_joiner_keeps_a_job_wanted(workers):
    """The first sender's deadline is not the second's."""
    first = workers.submit("tabby", wanted_for_s=0.3)
    workers.queue.join(first.job_id, WAIT_S)
    milliseconds = workers.redis.pttl(keys.wanted(first.job_id))

    assert milliseconds > 1000 * WAIT_S / 2


def test_without_the_result_cache_nothing_is_joined_or_stored(workers):
    """Switching the cache off travels with the job to the worker."""
    first, second = workers.submit("tabby", cache=False), workers.submit("tabby", cache=False)
    workers.start()

    assert label_of(workers.outcome(first)) == label_of(workers.outcome(second)) == "tabby"
    assert workers.batches() == ["tabby tabby"]
    assert workers.redis.keys("answer:*") == workers.redis.keys("inflight:*") == []


@pytest.mark.parametrize("share", [0.55, 0.9])
def test_where_redis_fills_up_pictures_are_computed_and_just_not_remembered(workers, share):
    """Answers for later requests can be done without: none of them may be why a request or a job is refused."""
    with workers.redis_filled_to(share):
        workers.start()

        assert label_of(workers.outcome(workers.submit("tabby"))) == "tabby"
        assert workers.redis.keys("answer:*") == []

    def remembered() -> bool:
        """Whether the worker has seen by now that there is room again."""
        workers.outcome(workers.submit("lynx"))
        return bool(workers.redis.keys("answer:*"))

    eventually(remembered, "answers are remembered again")


def test_an_id_that_is_on_the_queue_twice_is_computed_once(workers):
    """Delivery is at least once; a batch holds each ID once."""
    submission = workers.submit("tabby")
    workers.redis.rpush(QUEUE, submission.job_id)
    workers.start()

    assert label_of(workers.outcome(submission)) == "tabby"
    assert label_of(workers.outcome(workers.submit("next"))) == "next"
    assert workers.batches() == ["tabby", "next"]
    assert workers.redis.zcard(f"rq:wip:{queue_name(MODEL)}") == 0


def test_garbage_on_the_queue_is_dropped_and_the_worker_lives_on(workers):
    """Someone who can write to Redis must not be able to stop the workers."""
    workers.redis.rpush(QUEUE, b"\xff\xfe garbage", "no-such-job", "half-a-job")
    workers.redis.hset(keys.rq_job("half-a-job"), mapping={"data": b"\x80\x04 not json", "status": "queued"})
    workers.start()

    assert label_of(workers.outcome(workers.submit("tabby"))) == "tabby"
    assert workers.redis.llen(f"{QUEUE}:intermediate") == 0


@pytest.mark.parametrize("meta", ["[]", '{"tries_alone": "abc"}'])
def test_a_job_with_forged_records_does_not_end_the_worker(workers, meta):
    """It would end every worker that recovery gives it to."""
    submission = workers.submit("tabby")
    workers.redis.hset(keys.rq_job(submission.job_id), "meta", meta)
    workers.start()

    assert label_of(workers.outcome(workers.submit("lynx"))) == "lynx"
    eventually(lambda: workers.redis.llen(f"{QUEUE}:intermediate") == 0, "the forged job is dropped")


def test_an_id_that_leads_to_no_job_at_all_does_not_stop_recovery(workers):
    """A key of the wrong type makes Redis itself complain; other jobs are brought back all the same."""
    workers.redis.set(keys.rq_job("wrong"), "a string")
    stranded = workers.submit("tabby")
    workers.redis.rpush(f"{QUEUE}:intermediate", "wrong")
    workers.redis.lmove(QUEUE, f"{QUEUE}:intermediate")
    workers.redis.rpush(QUEUE, "wrong")
    workers.start()

    assert label_of(workers.outcome(stranded)) == "tabby"
    eventually(lambda: workers.redis.llen(f"{QUEUE}:intermediate") == 0, "the wrong ID is dropped")


@pytest.mark.long
def test_rq_sees_a_worker_again_after_redis_has_lost_everything(workers):
    """RQ's tools and the container's health check look at its registrations."""
    workers.start()
    workers.redis.flushall()

    eventually(lambda: workers.redis.smembers("rq:workers"), "the worker registers anew")


def test_a_models_labels_are_known_as_soon_as_its_worker_is(workers):
    """An API that sees a worker can offer its labels, also after Redis has lost everything."""
    workers.start()
    assert worker_registry.read_labels(workers.redis, MODEL, DIGEST) == ("tabby", "lynx")

    workers.redis.flushall()
    eventually(lambda: worker_registry.read_labels(workers.redis, MODEL, DIGEST), "the worker publishes them again")


def test_a_forged_job_runs_no_code(workers, tmp_path):
    """JSON stops pickles; the allow-list stops names: a job that names another function is refused for good."""
    victim = tmp_path / "victim"
    forged = zlib.compress(json.dumps(["os.mkdir", None, [str(victim)], {}]).encode())
    workers.redis.hset(keys.rq_job("forged"), mapping={"data": forged, "status": "queued", "origin": queue_name(MODEL)})
    workers.redis.set(keys.wanted("forged"), 1)
    workers.redis.rpush(QUEUE, "forged")
    workers.start()

    eventually(lambda: dead_letters(workers) == ["forged"], "the forged job is refused")
    assert not victim.exists()
    assert label_of(workers.outcome(workers.submit("tabby"))) == "tabby"


def test_what_lies_on_the_queue_is_json(workers):
    """No pickle on the wire, in either direction."""
    submission = workers.submit("tabby")
    stored = zlib.decompress(workers.redis.hget(keys.rq_job(submission.job_id), "data") or b"")

    assert json.loads(stored)[2] == ClassifyJob(workers.store.put(b"tabby"), cache=True).to_args()


def test_rqs_own_command_line_shows_queues_and_workers_as_they_are(workers, any_server):
    """An operator's usual tool must not be wrong: batches are settled by us, and RQ's records are kept true."""
    worker = workers.start()
    workers.outcome(workers.submit("tabby"))
    with pytest.raises(WorkerFault):
        workers.outcome(workers.submit("fault"))
    worker.send_signal(signal.SIGSTOP)
    eventually(lambda: workers.redis.info("clients")["blocked_clients"] == 0, "it takes nothing more")
    workers.submit("lynx")
    rq = Path(sys.executable).with_name("rq")
    shown = subprocess.run(
        [rq, "info", "--raw", "--url", any_server.operator_url], capture_output=True, text=True, check=True
    )
    queue_line, worker_line = shown.stdout.splitlines()

    assert queue_line == f"queue {queue_name(MODEL)} 1, 0 executing, 1 finished, 1 failed"
    assert re.fullmatch(
        rf"worker \w+ \(.* {worker.pid}\) idle "
        rf"{queue_name(MODEL)}, {bulk_queue_name(MODEL)}, {async_queue_name(MODEL)}, {bulk_async_queue_name(MODEL)}\. "
        r"jobs: 1 finished, 1 failed",
        worker_line,
    )


def test_a_worker_that_is_asked_to_stop_finishes_its_batch_and_takes_no_more(workers):
    """SIGTERM loses nothing and strands nothing: what it did not take waits for the next worker."""
    leaving = workers.start()
    first = workers.submit("slow-1")
    eventually(workers.batches, "a batch begins")
    second = workers.submit("tabby")
    leaving.send_signal(signal.SIGTERM)

    assert label_of(workers.outcome(first)) == "slow-1"
    assert leaving.wait(WAIT_S) == 0
    assert workers.redis.lrange(QUEUE, 0, -1) == [second.job_id.encode()]
    assert workers.redis.zcard(keys.workers(MODEL)) == 0
    workers.start()
    assert label_of(workers.outcome(second)) == "tabby"


def test_a_wait_ends_at_its_deadline(workers):
    """Without a worker a waiter gets an error in time, never a hang."""
    submission = workers.submit("tabby")

    with pytest.raises(DeadlineExceeded):
        workers.queue.wait(submission.job_id, Deadline(0.2))


def test_a_restart_of_the_server_loses_nothing(workers, any_server):
    """With the append-only file on, those who wait still get their answer, and the workers come back by themselves."""
    workers.start()
    answer = workers.outcome_later(workers.submit("slow-1"))
    queued = workers.outcome_later(workers.submit("slow-2", cache=False))
    any_server.stop()
    any_server.start()

    assert label_of(answer.result()) == "slow-1"
    assert label_of(queued.result()) == "slow-2"


# What others write into Redis


def test_a_dead_letter_that_rqs_own_tool_puts_back_runs_again(workers, any_server):
    """``rq requeue`` writes ``meta`` anew with pickle, which no worker loads, and of which none dies."""
    job = workers.create("fault")
    worker = workers.start()
    eventually(lambda: len(workers.batches()) == 3, "it has had its tries")
    rq, queue = Path(sys.executable).with_name("rq"), async_queue_name(MODEL)
    eventually(lambda: workers.redis.zcard(f"rq:failed:{queue}"), "it is a dead letter")
    subprocess.run(
        [rq, "requeue", "--all", "--queue", queue, "--url", any_server.operator_url], capture_output=True, check=True
    )
    eventually(lambda: len(workers.batches()) == 6, "it has all its tries again")

    assert label_of(workers.outcome(workers.submit("tabby"))) == "tabby"
    assert worker.poll() is None
    assert workers.ended(job).state is JobState.FAILED

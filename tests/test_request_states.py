"""The life of a computation on a real server with real worker processes; only the network is scripted."""

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

from contract import keys, labels
from contract.errors import ComputationFailed, ResultTimeout
from contract.job_queue import queue_name, tickets_queue_name
from contract.messages import Classification, ClassifyJob, Dropped, Failure
from model.serving.intake import Intake
from model.serving.lease import EXIT_HUNG
from tests.support.crew import WAIT_S, Crew, eventually
from tests.support.scripted_worker import DIGEST, MODEL

QUEUE = f"rq:queue:{queue_name(MODEL)}"


def label_of(outcome: object) -> str:
    assert isinstance(outcome, Classification)
    return outcome.labels[0].label


def dead_letters(crew: Crew) -> list[str]:
    return FailedJobRegistry(queue_name(MODEL), connection=crew.redis).get_job_ids(cleanup=False)


def test_a_computation_is_answered_and_its_answer_serves_the_same_picture_again(crew):
    """The second request of a picture costs one look and no worker."""
    crew.hire()
    submission = crew.submit("tabby")

    assert label_of(crew.outcome(submission)) == "tabby"
    picture = crew.store.put(b"tabby")
    sighting = crew.queue.look(MODEL, DIGEST, picture)
    assert sighting.answer is not None
    assert label_of(sighting.answer) == "tabby"
    assert sighting.computation is None


def test_the_same_picture_twice_at_once_is_computed_once(crew):
    """Whoever comes second joins the computation in flight and gets its result."""
    first, second = crew.submit("tabby"), crew.submit("tabby")
    crew.hire()

    assert (first.joined, second.joined) == (False, True)
    assert second.computation == first.computation
    assert label_of(crew.outcome(second)) == "tabby"
    assert crew.batches() == ["tabby"]


def test_what_waits_is_computed_together(crew):
    """Batches form from what is already there, up to the limit of four."""
    submissions = [crew.submit(f"cat-{n}") for n in range(6)]
    crew.hire()

    assert [label_of(crew.outcome(submission)) for submission in submissions] == [f"cat-{n}" for n in range(6)]
    assert crew.batches() == ["cat-0 cat-1 cat-2 cat-3", "cat-4 cat-5"]


def test_a_worker_leaves_its_colleagues_their_share_of_a_short_queue(crew):
    """One that took all of it would compute for long while they stand idle."""
    crew.redis.zadd(keys.workers(MODEL), {"colleague": time.time() + WAIT_S})  # who is busy elsewhere
    submissions = [crew.submit(f"cat-{n}") for n in range(5)]
    crew.hire()

    assert [label_of(crew.outcome(submission)) for submission in submissions] == [f"cat-{n}" for n in range(5)]
    assert crew.batches() == ["cat-0 cat-1 cat-2", "cat-3", "cat-4"]


@pytest.mark.parametrize(
    ("waiting", "workers", "taken"),
    [(1, 1, 1), (8, 1, 4), (1, 2, 1), (5, 2, 3), (8, 2, 4), (12, 2, 4), (3, 8, 1)],
)  # fmt: skip
def test_a_batch_is_a_workers_share_of_what_waits_up_to_the_limit(crew, waiting, workers, taken):
    """Nobody idles while the queue is short, and batches are full when it is long."""
    for number in range(waiting):
        crew.submit(f"cat-{number}")
    queue = Queue(queue_name(MODEL), connection=crew.redis, serializer=JSONSerializer)
    batch = Intake(crew.redis, queue, batch_max=4, batch_wait_s=0.0, workers=lambda: workers).take()

    assert batch is not None
    assert len(batch.runnable) == taken
    assert crew.redis.llen(QUEUE) == waiting - taken


def test_a_bad_picture_fails_alone_and_as_a_result(crew):
    """It is the sender's fault: no retry, no dead letter, and its neighbours are answered."""
    bad, good = crew.submit("bad"), crew.submit("tabby")
    crew.hire()

    assert isinstance(crew.outcome(bad), Failure)
    assert label_of(crew.outcome(good)) == "tabby"
    assert crew.batches() == ["bad tabby"]
    assert dead_letters(crew) == []


def test_the_jobs_of_a_killed_worker_are_answered_by_another(crew):
    """Nothing accepted is lost when a worker is killed with a batch in hand."""
    doomed = crew.hire()
    submissions = [crew.submit(f"slow-{n}") for n in range(3)]
    eventually(crew.batches, "a batch begins")
    doomed.kill()
    crew.hire()

    assert sorted(label_of(crew.outcome(submission)) for submission in submissions) == ["slow-0", "slow-1", "slow-2"]
    assert crew.redis.zcard(f"rq:wip:{queue_name(MODEL)}") == 0


def test_a_batch_may_take_long_as_long_as_its_pictures_come_along(crew):
    """The limit is for a worker that hangs; four large HEICs are work."""
    submissions = [crew.submit(f"large-{n}") for n in range(4)]
    worker = crew.hire(COMPUTE_LIMIT_S="2")

    assert [label_of(crew.outcome(submission)) for submission in submissions] == [f"large-{n}" for n in range(4)]
    assert len(crew.batches()) == 1
    assert worker.poll() is None


def test_a_worker_that_hangs_ends_itself(crew):
    """No signal reaches native code; without this its jobs would never be anybody else's."""
    crew.submit("hang")

    assert crew.hire(COMPUTE_LIMIT_S="1").wait(WAIT_S) == EXIT_HUNG


def test_an_id_stranded_between_queue_and_start_comes_back(crew):
    """A worker may be killed after it took an ID and before it began the job."""
    submission = crew.submit("tabby")
    crew.redis.lmove(QUEUE, f"{QUEUE}:intermediate")
    crew.hire()

    assert label_of(crew.outcome(submission)) == "tabby"
    assert crew.redis.llen(f"{QUEUE}:intermediate") == 0


def test_a_poison_picture_is_given_up_and_its_neighbours_pay_nothing(crew):
    """It kills the worker with its batch once, then three workers alone; the neighbours are answered meanwhile."""
    poison, *good = (crew.submit(script) for script in ("poison", "a", "b"))
    answers = [crew.outcome_later(submission) for submission in good]
    verdict = crew.outcome_later(poison)
    while not (verdict.done() and all(answer.done() for answer in answers)):
        worker = crew.hire()
        eventually(lambda: worker.poll() is not None or verdict.done(), "the worker dies, or the poison is given up")  # noqa: B023

    with pytest.raises(ComputationFailed):
        verdict.result()
    assert sorted(label_of(answer.result()) for answer in answers) == ["a", "b"]
    assert crew.batches().count("poison") == 3
    assert dead_letters(crew) == [poison.computation]


def test_our_own_fault_is_tried_three_times_and_then_seen(crew):
    """A fault of the worker is never served as an answer: it ends as a dead letter with the reason."""
    crew.hire()
    submission = crew.submit("fault")

    with pytest.raises(ComputationFailed):
        crew.outcome(submission)
    assert crew.batches() == ["fault"] * 3
    assert dead_letters(crew) == [submission.computation]
    job = Queue(queue_name(MODEL), connection=crew.redis, serializer=JSONSerializer).fetch_job(submission.computation)
    assert job is not None
    result = job.latest_result()
    assert result is not None
    assert "scripted fault" in (result.exc_string or "")


def test_a_picture_that_is_gone_from_the_store_is_given_up_and_its_neighbours_pay_nothing(crew):
    """Somebody deleted it, or the volume came back from a backup without it."""
    gone, *others = (crew.submit(script) for script in ("gone", "cat-0", "cat-1"))
    picture = crew.store.put(b"gone")
    next(crew.folder.rglob(picture)).unlink()
    crew.hire()

    assert [label_of(crew.outcome(other)) for other in others] == ["cat-0", "cat-1"]
    with pytest.raises(ComputationFailed):
        crew.outcome(gone)
    assert crew.batches() == ["cat-0 cat-1"]
    assert dead_letters(crew) == [gone.computation]


def test_every_end_lets_the_picture_be_submitted_anew(crew):
    """No later request may join a computation that came to nothing."""
    crew.hire()
    for script in ("fault", "bad", "tabby"):
        submission = crew.submit(script)
        wait([crew.outcome_later(submission)])

        assert crew.redis.get(keys.inflight(MODEL, crew.store.put(script.encode()))) is None


def test_a_computation_that_nobody_wants_any_more_is_dropped_unseen(crew):
    """Computing for a client that has gone would make those who wait wait longer."""
    submission = crew.submit("tabby", wanted_for_s=0.01)
    eventually(lambda: not crew.redis.exists(keys.wanted(submission.computation)), "the wish runs out")
    crew.hire()

    assert isinstance(crew.outcome(submission), Dropped)
    assert crew.batches() == []
    assert crew.redis.get(keys.inflight(MODEL, crew.store.put(b"tabby"))) is None


def test_a_joiner_keeps_a_computation_wanted(crew):
    """The first sender's deadline is not the second's."""
    first = crew.submit("tabby", wanted_for_s=0.3)
    crew.queue.join(first.computation, WAIT_S)
    milliseconds = crew.redis.pttl(keys.wanted(first.computation))

    assert milliseconds > 1000 * WAIT_S / 2


def test_without_the_result_cache_nothing_is_joined_or_stored(crew):
    """Switching the cache off travels with the job to the worker."""
    first, second = crew.submit("tabby", cache=False), crew.submit("tabby", cache=False)
    crew.hire()

    assert label_of(crew.outcome(first)) == label_of(crew.outcome(second)) == "tabby"
    assert crew.batches() == ["tabby tabby"]
    assert crew.redis.keys("answer:*") == crew.redis.keys("inflight:*") == []


@pytest.mark.parametrize("share", [0.55, 0.9])
def test_where_redis_fills_up_pictures_are_computed_and_just_not_remembered(crew, share):
    """Answers for later requests can be done without: none of them may be why a request or a job is refused."""
    with crew.redis_filled_to(share):
        crew.hire()

        assert label_of(crew.outcome(crew.submit("tabby"))) == "tabby"
        assert crew.redis.keys("answer:*") == []

    def remembered() -> bool:
        """Whether the worker has seen by now that there is room again."""
        crew.outcome(crew.submit("lynx"))
        return bool(crew.redis.keys("answer:*"))

    eventually(remembered, "answers are remembered again")


def test_an_id_that_is_on_the_queue_twice_is_computed_once(crew):
    """Delivery is at least once; a batch holds each ID once."""
    submission = crew.submit("tabby")
    crew.redis.rpush(QUEUE, submission.computation)
    crew.hire()

    assert label_of(crew.outcome(submission)) == "tabby"
    assert label_of(crew.outcome(crew.submit("next"))) == "next"
    assert crew.batches() == ["tabby", "next"]
    assert crew.redis.zcard(f"rq:wip:{queue_name(MODEL)}") == 0


def test_garbage_on_the_queue_is_dropped_and_the_worker_lives_on(crew):
    """Whoever can write to Redis must not be able to stop the workers."""
    crew.redis.rpush(QUEUE, b"\xff\xfe garbage", "no-such-job", "half-a-job")
    crew.redis.hset("rq:job:half-a-job", mapping={"data": b"\x80\x04 not json", "status": "queued"})
    crew.hire()

    assert label_of(crew.outcome(crew.submit("tabby"))) == "tabby"
    assert crew.redis.llen(f"{QUEUE}:intermediate") == 0


@pytest.mark.parametrize("meta", ["[]", '{"tries_alone": "abc"}'])
def test_a_job_with_forged_records_does_not_end_the_worker(crew, meta):
    """It would end every worker that recovery gives it to."""
    submission = crew.submit("tabby")
    crew.redis.hset(f"rq:job:{submission.computation}", "meta", meta)
    crew.hire()

    assert label_of(crew.outcome(crew.submit("lynx"))) == "lynx"
    eventually(lambda: crew.redis.llen(f"{QUEUE}:intermediate") == 0, "the forged job is dropped")


def test_an_id_that_leads_to_no_job_at_all_does_not_stop_recovery(crew):
    """A key of the wrong type makes Redis itself complain; other jobs are brought back all the same."""
    crew.redis.set("rq:job:wrong", "a string")
    stranded = crew.submit("tabby")
    crew.redis.rpush(f"{QUEUE}:intermediate", "wrong")
    crew.redis.lmove(QUEUE, f"{QUEUE}:intermediate")
    crew.redis.rpush(QUEUE, "wrong")
    crew.hire()

    assert label_of(crew.outcome(stranded)) == "tabby"
    eventually(lambda: crew.redis.llen(f"{QUEUE}:intermediate") == 0, "the wrong ID is dropped")


def test_rq_sees_a_worker_again_after_redis_has_lost_everything(crew):
    """RQ's tools and the container's health check look at its registrations."""
    crew.hire()
    crew.redis.flushall()

    eventually(lambda: crew.redis.smembers("rq:workers"), "the worker registers anew")


def test_a_models_labels_are_known_from_its_first_announcement_on(crew):
    """Who sees a worker can offer its labels, also after Redis has lost everything."""
    crew.hire()
    assert labels.read(crew.redis, MODEL, DIGEST) == ("tabby", "lynx")

    crew.redis.flushall()
    eventually(lambda: labels.read(crew.redis, MODEL, DIGEST), "the worker publishes them again")


def test_a_forged_job_runs_no_code(crew, tmp_path):
    """JSON stops pickles; the allow-list stops names: a job that names another function is refused for good."""
    victim = tmp_path / "victim"
    forged = zlib.compress(json.dumps(["os.mkdir", None, [str(victim)], {}]).encode())
    crew.redis.hset("rq:job:forged", mapping={"data": forged, "status": "queued", "origin": queue_name(MODEL)})
    crew.redis.set(keys.wanted("forged"), 1)
    crew.redis.rpush(QUEUE, "forged")
    crew.hire()

    eventually(lambda: dead_letters(crew) == ["forged"], "the forged job is refused")
    assert not victim.exists()
    assert label_of(crew.outcome(crew.submit("tabby"))) == "tabby"


def test_what_lies_on_the_queue_is_json(crew):
    """No pickle on the wire, in either direction."""
    submission = crew.submit("tabby")
    stored = zlib.decompress(crew.redis.hget(f"rq:job:{submission.computation}", "data") or b"")

    assert json.loads(stored)[2] == ClassifyJob(crew.store.put(b"tabby"), cache=True).to_args()


def test_rqs_own_command_line_tells_of_queues_and_workers_as_they_are(crew, any_server):
    """An operator's usual tool must not be wrong: batches are settled by us, and RQ's records are kept true."""
    worker = crew.hire()
    crew.outcome(crew.submit("tabby"))
    with pytest.raises(ComputationFailed):
        crew.outcome(crew.submit("fault"))
    worker.send_signal(signal.SIGSTOP)
    eventually(lambda: crew.redis.info("clients")["blocked_clients"] == 0, "it takes nothing more")
    crew.submit("lynx")
    rq = Path(sys.executable).with_name("rq")
    told = subprocess.run([rq, "info", "--raw", "--url", any_server.url], capture_output=True, text=True, check=True)
    queues, workers = told.stdout.splitlines()

    assert queues == f"queue {queue_name(MODEL)} 1, 0 executing, 1 finished, 1 failed"
    assert re.fullmatch(
        rf"worker \w+ \(.* {worker.pid}\) idle {queue_name(MODEL)}, {tickets_queue_name(MODEL)}\. "
        r"jobs: 1 finished, 1 failed",
        workers,
    )


def test_a_worker_that_is_asked_to_stop_finishes_its_batch_and_takes_no_more(crew):
    """SIGTERM loses nothing and strands nothing: what it did not take waits for the next worker."""
    leaving = crew.hire()
    first = crew.submit("slow-1")
    eventually(crew.batches, "a batch begins")
    second = crew.submit("tabby")
    leaving.send_signal(signal.SIGTERM)

    assert label_of(crew.outcome(first)) == "slow-1"
    assert leaving.wait(WAIT_S) == 0
    assert crew.redis.lrange(QUEUE, 0, -1) == [second.computation.encode()]
    assert crew.redis.zcard(f"workers:{MODEL}") == 0
    crew.hire()
    assert label_of(crew.outcome(second)) == "tabby"


def test_a_wait_ends_at_its_deadline(crew):
    """Without a worker a waiter gets an error in time, never a hang."""
    submission = crew.submit("tabby")

    with pytest.raises(ResultTimeout):
        crew.queue.wait(submission.computation, 0.2)


def test_a_restart_of_the_server_loses_nothing(crew, any_server):
    """With the append-only file on, whoever waits still gets the answer, and the workers come back by themselves."""
    crew.hire()
    answer = crew.outcome_later(crew.submit("slow-1"))
    queued = crew.outcome_later(crew.submit("slow-2", cache=False))
    any_server.stop()
    any_server.start()

    assert label_of(answer.result()) == "slow-1"
    assert label_of(queued.result()) == "slow-2"

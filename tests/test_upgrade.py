"""Two versions of the service on one Redis, as in every upgrade: nothing that either accepted is lost.

The other version is what it wrote into Redis, as it was recorded when it was current (tests/recorded).
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

import pytest

from api.app import create_app
from api.services import Services
from api.settings import Settings
from conftest import SERVERS
from contract.async_jobs import JobState
from contract.errors import KeyReused, UnknownOutcome
from contract.job_queue import queue_name
from contract.messages import Classification, ClassifyJob, Label
from contract.worker_registry import live_workers
from model.serving.claimed_job import read_claimed_job
from tests.support import recording
from tests.support.missing import skip_or_fail
from tests.support.scripted_worker import GIF, MODEL
from tests.support.server import Server
from tests.support.workers import SENDER, ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient


OLD = recording.load("0.1.0")
OLD_JOB, OLD_ASYNC_JOB = OLD["request_job"], OLD["async_job"]


def put_back(workers: ScriptedWorkers, *parts: str, of: str) -> None:
    """Restore what the old version wrote under the keys that begin with ``parts``; none means all."""
    for script in (recording.REQUEST, recording.ASYNC):
        workers.store.put(script.encode())
    keys = {key: entry for key, entry in OLD[of].items() if key.startswith(parts or "")}
    recording.put_back(workers.redis, keys)


def answer_as_the_old_worker_did(workers: ScriptedWorkers, job_id: str, **changes: Any) -> None:
    """Leave the recorded result for a job; ``changes`` replace fields of the outcome in it."""
    (_, fields), *_ = OLD["answered"][f"rq:results:{OLD_JOB}"]["value"]
    outcome = json.loads(recording.plain({"base64": fields["return_value"]})) | changes
    entry = fields | {"return_value": base64.b64encode(json.dumps(outcome).encode()).decode()}
    workers.redis.xadd(f"rq:results:{job_id}", entry)


# Today's workers, an older API


def test_what_the_old_api_accepted_is_answered_by_todays_workers(workers):
    """The request that is still waiting, and the async job, whose sender may ask for it only after the upgrade."""
    put_back(workers, of="sent")
    workers.start()

    results = f"rq:results:{OLD_JOB}"
    eventually(lambda: workers.redis.exists(results), "the request is answered")
    job = eventually(
        lambda: (now := workers.async_jobs.read(OLD_ASYNC_JOB, SENDER)).state is JobState.DONE and now, "it is done"
    )
    assert job.outcome.labels == (Label(recording.ASYNC, 1.0),)
    assert job.request.top_k == 5
    ((_, fields),) = workers.redis.xrange(results)
    assert set(fields) == {name.encode() for name in OLD["answered"][results]["value"][0][1]}


def test_an_answer_that_the_old_worker_stored_is_still_served(workers):
    put_back(workers, "answer:", of="answered")
    picture = workers.store.put(recording.REQUEST.encode())

    assert workers.queue.look(MODEL, "d" * 64, picture).answer.labels == (Label(recording.REQUEST, 1.0),)


@pytest.mark.long
@pytest.mark.parametrize("name", SERVERS)
def test_what_was_accepted_before_redis_had_users_is_answered_after(tmp_path, name):
    """Compose starts Redis again with users and passwords, on the log of the one that knew none."""
    binary = SERVERS[name] or skip_or_fail(f"no {name} here")
    (tmp_path / "server").mkdir()
    with Server(binary, tmp_path / "server", has_users=False) as old:
        before = ScriptedWorkers(old, tmp_path)
        jobs = [before.create("slow-lynx"), before.create("tabby")]
        worker = before.start()
        eventually(
            lambda: before.async_jobs.read(jobs[0].id, SENDER).state is JobState.RUNNING, "a worker has it in hand"
        )
        worker.kill()
        before.close()
    with Server(binary, tmp_path / "server") as new:
        after = ScriptedWorkers(new, tmp_path)
        after.start()
        states = [after.ended(job).state for job in jobs]
        after.close()

    assert states == [JobState.DONE, JobState.DONE]


# Today's API, older workers and older data


def test_an_idempotency_key_sent_before_the_upgrade_still_returns_its_job(workers):
    """The default was 5 labels then and is 3 now: a sender who never chose has not asked for something else."""
    put_back(workers, of="sent")
    unasked = replace(workers.request(recording.ASYNC, top_k=3), top_k_sent=False)
    for request in (unasked, workers.request(recording.ASYNC, top_k=5)):
        assert (
            workers.async_jobs.create(MODEL, request, sender=SENDER, size_bytes=1, cache=True, key=recording.KEY).id
            == OLD_ASYNC_JOB
        )

    with pytest.raises(KeyReused):
        workers.async_jobs.create(
            MODEL, workers.request(recording.ASYNC, top_k=4), sender=SENDER, size_bytes=1, cache=True, key=recording.KEY
        )


def test_an_old_worker_is_seen_and_used(workers):
    """Its entry has fields that are not read any more."""
    put_back(workers, "worker:", "workers:", "models", of="answered")
    workers.redis.zadd(f"workers:{MODEL}", dict.fromkeys(workers.redis.zrange(f"workers:{MODEL}", 0, -1), 2**40))
    (worker,) = live_workers(workers.redis)

    assert (worker.model, worker.digest, worker.batch) == (MODEL, "d" * 64, 4)


@pytest.mark.parametrize("queue", ["classify", "tickets"])
def test_an_old_worker_finds_todays_jobs_where_it_looks_and_can_read_them(workers, queue):
    """RQ's record has the same fields, the same task and arguments of the same form."""
    workers.submit(recording.REQUEST)
    workers.create(recording.ASYNC)
    old_id = OLD["sent"][f"rq:queue:{queue}-{MODEL}"]["value"][0]
    old = {field: recording.plain(value) for field, value in OLD["sent"][f"rq:job:{old_id}"]["value"].items()}
    (job_id,) = workers.redis.lrange(f"rq:queue:{queue}-{MODEL}", 0, -1)
    job = workers.redis.hgetall(f"rq:job:{job_id.decode()}")

    of_an_async_job = {"meta"} if queue == "tickets" else set()  # whose it is: an old worker does not look there
    assert {field.decode() for field in job} == set(old) | of_an_async_job
    assert json.loads(zlib.decompress(job[b"data"])) == json.loads(zlib.decompress(cast("bytes", old["data"])))


def test_what_an_old_worker_answers_is_understood(workers):
    submission, job = workers.submit(recording.REQUEST), workers.create(recording.ASYNC)
    queued_id = workers.redis.hget(f"ticket:{job.id}", "computation").decode()
    for job_id in (submission.job_id, queued_id):
        answer_as_the_old_worker_did(workers, job_id)

    assert isinstance(workers.outcome(submission), Classification)
    assert workers.async_jobs.read(job.id, SENDER).state is JobState.DONE


# Damaged pictures that are wanted all the same: version 0.1 knew nothing of them


def test_a_job_without_a_word_of_it_is_strict(workers):
    """What an older API has queued: its sender was never told that an answer may be of half a picture."""
    put_back(workers, of="sent")
    (job_id,) = OLD["sent"][f"rq:queue:classify-{MODEL}"]["value"]
    fields: Any = workers.redis.hgetall(f"rq:job:{job_id}")

    task = read_claimed_job(workers.redis, queue_name(MODEL), job_id, fields).task
    assert isinstance(task, ClassifyJob)
    assert task.strict
    assert workers.async_jobs.read(OLD_ASYNC_JOB, SENDER).request.strict


@pytest.mark.parametrize("queue", ["classify", "tickets"])
def test_an_old_worker_takes_a_lenient_job_for_one_of_its_own(workers, queue):
    """It refuses arguments of another form, and what it refuses is lost; of ``meta`` it reads its own field only."""
    workers.submit(recording.REQUEST, strict=False)
    workers.create(recording.ASYNC, strict=False)
    old_id = OLD["sent"][f"rq:queue:{queue}-{MODEL}"]["value"][0]
    old = {field: recording.plain(value) for field, value in OLD["sent"][f"rq:job:{old_id}"]["value"].items()}
    (job_id,) = workers.redis.lrange(f"rq:queue:{queue}-{MODEL}", 0, -1)
    job = workers.redis.hgetall(f"rq:job:{job_id.decode()}")
    counted = json.loads(OLD["answered"][f"rq:job:{OLD_JOB}"]["value"]["meta"])

    assert {field.decode() for field in job} == {*old, "meta"}
    assert json.loads(zlib.decompress(job[b"data"])) == json.loads(zlib.decompress(cast("bytes", old["data"])))
    assert json.loads(job[b"meta"]).items() >= {"strict": False}.items()
    assert list(counted) == ["tries_alone"]


def test_what_an_old_worker_answers_to_a_lenient_job_is_understood(workers):
    """As it always did: it never looks for damage, so it reports none.

    It knows nothing of the ``inflight`` key either. Who joins by it finds the answer, until the key runs out.
    """
    submission, job = workers.submit(recording.REQUEST, strict=False), workers.create(recording.ASYNC, strict=False)
    queued_id = workers.redis.hget(f"ticket:{job.id}", "computation").decode()
    for job_id in (submission.job_id, queued_id):
        answer_as_the_old_worker_did(workers, job_id)
    late = workers.submit(recording.REQUEST, strict=False)
    seen = [workers.outcome(submission), workers.outcome(late), workers.async_jobs.read(job.id, SENDER).outcome]

    assert (late.joined, late.job_id) == (True, submission.job_id)
    assert [outcome.damaged for outcome in seen] == [False] * 3


def test_an_idempotency_key_sent_before_the_upgrade_stands_for_a_strict_request(workers):
    put_back(workers, of="sent")

    with pytest.raises(KeyReused):
        workers.async_jobs.create(
            MODEL,
            workers.request(recording.ASYNC, top_k=5, strict=False),
            sender=SENDER,
            size_bytes=1,
            cache=True,
            key=recording.KEY,
        )


# Forms that a version does not know yet


def test_a_request_that_waits_for_an_outcome_of_a_kind_to_come_gets_an_error_of_its_own(workers):
    submission = workers.submit(recording.REQUEST)
    answer_as_the_old_worker_did(workers, submission.job_id, outcome="of a kind to come")

    with pytest.raises(UnknownOutcome):
        workers.outcome(submission)


@pytest.fixture
def client(any_server: Server, tmp_path: Path) -> Iterator[FlaskClient]:
    settings = Settings(
        redis_url=any_server.api_url,
        upload_dir=tmp_path / "uploads",
        copies_dir=tmp_path / "copies",
        feedback_dir=tmp_path,
    )
    services = Services.connect(settings)
    yield create_app(services).test_client()
    services.queue.close()


def test_an_outcome_of_an_unknown_kind_is_reported_as_such(workers, client):
    """A newer worker may answer in a new way; calling that a fault of the picture, or a bug, would be wrong."""
    picture = GIF + recording.REQUEST.encode()
    workers.start()
    sent = client.post("/v1/jobs", data={"file": (BytesIO(picture), "photo.gif")})
    ended = eventually(lambda: (now := client.get(sent.location)).get_json()["state"] == "done" and now, "it is done")
    queued_id = workers.redis.hget(f"ticket:{ended.get_json()['id']}", "computation").decode()
    answer_as_the_old_worker_did(workers, queued_id, outcome="of a kind to come")
    answer = client.get(sent.location)

    assert answer.status_code == 502
    assert answer.content_type == "application/problem+json"
    assert "the API has to be upgraded" in answer.get_json()["detail"]

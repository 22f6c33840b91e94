"""Deleting a picture takes all with it that the service has of it, whatever its jobs are doing."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from api.core.client import Client
from api.core.errors import NoWorker
from api.services import Services
from api.settings import Settings
from contract import keys
from contract.async_jobs import DELETED, JobState
from contract.errors import PictureDeleted
from contract.messages import Deleted
from tests.support.asking import CLASSIFICATION
from tests.support.scripted_worker import DIGEST, MODEL
from tests.support.workers import SENDER, ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

    from tests.support.server import Server


@pytest.fixture
def workers(valkey: Server, redis: Redis, tmp_path: Path) -> Iterator[ScriptedWorkers]:
    redis.flushall()
    workers = ScriptedWorkers(valkey, tmp_path)
    yield workers
    workers.close()


@pytest.fixture
def services(valkey: Server, workers: ScriptedWorkers, tmp_path: Path) -> Iterator[Services]:
    services = Services.connect(
        Settings(
            redis_url=valkey.api_url,
            upload_dir=workers.folder / "uploads",
            copies_dir=tmp_path / "copies",
            feedback_dir=tmp_path / "feedback",
        )
    )
    yield services
    services.queue.close()


def test_answers_copy_and_reported_picture_go_with_it(workers, services):
    """A report stays, without its picture: what a person has written is another thing."""
    name = workers.store.put(b"tabby")
    workers.start()
    for strict in (True, False):
        workers.outcome(workers.submit("tabby", strict=strict))
    services.uploads.room.prepare()
    services.uploads.copies.put(name, b"a copy")
    services.uploads.count_copy(name, 6)
    services.reported.keep(name)
    services.deletion.delete(name)
    services.deletion.delete(name)

    assert name not in services.store
    assert name not in services.reported
    assert services.uploads.copies.remove(name) == 0
    assert [key for key in workers.redis.keys("*") if name.encode() in key and b"refused" not in key] == []
    assert services.uploads.room.used_bytes() == 0


def test_a_running_job_ends_so_and_its_answer_is_neither_told_nor_kept(workers, services):
    """The worker has the bytes already, and will finish; who waits is told at once that there is no answer."""
    workers.start()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(services.inference.infer, b"slow", Client(SENDER), CLASSIFICATION)
        eventually(lambda: workers.batches() == ["slow"], "it runs")
        name = workers.store.put(b"slow")
        services.deletion.delete(name)

        assert isinstance(waiting.exception(), PictureDeleted)
    assert workers.redis.get(keys.answer(MODEL, DIGEST, name)) is None
    assert name not in services.store


def test_an_async_job_ends_so_whether_it_waits_or_runs(workers, services):
    running = workers.create("slow")
    workers.start()
    eventually(lambda: workers.batches() == ["slow"], "it runs")
    waiting = workers.create("tabby")
    for script in (b"slow", b"tabby"):
        services.deletion.delete(workers.store.put(script))
    at_once = workers.async_jobs.read(waiting.id, SENDER)

    assert (at_once.state, at_once.outcome) == (JobState.FAILED, DELETED)
    for job in (running, waiting):
        raw: Any = workers.redis.hget(keys.async_job(job.id), "computation")
        queued_id = raw.decode()
        eventually(lambda: workers.redis.exists(workers.queue.result_key(queued_id)), "a worker ends it")  # noqa: B023
        workers.redis.delete(keys.deleted(queued_id))
        ended = workers.async_jobs.read(job.id, SENDER)
        assert (ended.state, ended.outcome) == (JobState.FAILED, DELETED)
    assert workers.batches() == ["slow"]


def test_who_waits_for_a_job_that_no_worker_takes_is_told(workers, services):
    """Without a worker nobody ends it; the wait looks after the job every few seconds."""
    submission = workers.submit("tabby")
    outcome = workers.outcome_later(submission)
    services.deletion.delete(workers.store.put(b"tabby"))

    assert outcome.result() == Deleted()


def test_the_same_picture_sent_again_is_computed_anew(workers, services):
    """What was deleted is no reason to refuse it for good: a sender may change his mind, and another knows nothing."""
    workers.submit("tabby")
    services.deletion.delete(workers.store.put(b"tabby"))
    workers.start()

    assert services.inference.infer(b"tabby", Client(SENDER), CLASSIFICATION).cache == "miss"


def test_while_no_worker_is_ready_who_deletes_is_told_that_answers_may_be_left(workers, services):
    """They are found by what the workers serve, and those that come back would tell them."""
    worker = workers.start()
    name = services.inference.infer(b"tabby", Client(SENDER), CLASSIFICATION).picture
    worker.send_signal(signal.SIGTERM)
    worker.wait()
    with pytest.raises(NoWorker):
        services.deletion.delete(name)
    assert name not in services.store
    workers.start()
    services.deletion.delete(name)

    assert workers.redis.get(keys.answer(MODEL, DIGEST, name)) is None

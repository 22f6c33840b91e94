"""How long a stored picture is kept: as long as an unfinished job names it, whatever becomes of the job's worker."""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from api.services import Services
from api.settings import Settings
from contract import keys, picture_holders
from contract.async_jobs import JobState
from contract.errors import BackendDown, OverShare, StoreFull, WorkerFault
from contract.messages import Classification, Dropped
from tests.support.scripted_worker import GIF
from tests.support.workers import JOB_TTL_S, SENDER, ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

    from api.core.uploads import Uploads
    from contract.job_queue import Submission
    from tests.support.server import Server

MB = 1_000_000


@pytest.fixture
def workers(valkey: Server, redis: Redis, tmp_path: Path) -> Iterator[ScriptedWorkers]:
    redis.flushall()
    workers = ScriptedWorkers(valkey, tmp_path)
    yield workers
    workers.close()


@pytest.fixture
def services(valkey: Server, redis: Redis, tmp_path: Path) -> Iterator[Services]:
    """The store holds one MB: 244 small pictures."""
    redis.flushall()
    services = Services.connect(
        Settings(
            redis_url=valkey.api_url,
            upload_dir=tmp_path / "uploads",
            copies_dir=tmp_path / "copies",
            feedback_dir=tmp_path / "feedback",
            uploads_mb=1,
            disk_reserve_mb=0,
            request_timeout_s=5,
            web_concurrency=1,
        )
    )
    yield services
    services.queue.close()


@pytest.fixture
def uploads(services: Services) -> Uploads:
    return services.uploads


def make_old(uploads: Uploads, name: str) -> str:
    path = uploads.store._folder / name[:2] / name
    os.utime(path, (time.time() - 10_000,) * 2)
    return name


def picture_of(workers: ScriptedWorkers, uploads: Uploads, script: str) -> str:
    return make_old(uploads, workers.store.put(script.encode()))


def is_kept(uploads: Uploads, name: str) -> bool:
    """Whether it outlives a deletion of everything that may go."""
    uploads.remove([name], idle_s=uploads.idle_s, reason="room")
    return name in uploads.store


def holders(workers: ScriptedWorkers, name: str) -> int:
    return int(workers.redis.zcard(keys.holders(name)))


# One job in each state


def test_a_picture_is_kept_while_its_job_waits_and_while_it_runs_and_not_when_it_is_done(workers, uploads):
    submission = workers.submit("slow")
    name = picture_of(workers, uploads, "slow")
    assert is_kept(uploads, name)

    outcome = workers.outcome_later(submission)
    workers.start()
    eventually(lambda: workers.batches() == ["slow"], "it runs")
    assert is_kept(uploads, name)

    assert isinstance(outcome.result(), Classification)
    assert not is_kept(uploads, name)


@pytest.mark.parametrize("script", ["bad", "fault"], ids=["refused", "given up"])
def test_a_picture_whose_job_has_failed_is_not_kept(workers, uploads, script):
    submission = workers.submit(script)
    name = picture_of(workers, uploads, script)
    assert is_kept(uploads, name)
    workers.start()
    _end(workers, submission)

    assert not is_kept(uploads, name)


def _end(workers: ScriptedWorkers, submission: Submission) -> None:
    with suppress(WorkerFault):
        workers.outcome(submission)


def test_a_picture_whose_job_was_dropped_is_not_kept(workers, uploads):
    submission = workers.submit("tabby")
    name = picture_of(workers, uploads, "tabby")
    workers.queue.leave(submission.job_id)
    workers.start()

    assert isinstance(workers.outcome(submission), Dropped)
    assert not is_kept(uploads, name)


def test_a_picture_of_an_async_job_is_kept_until_it_is_done(workers, uploads):
    job = workers.create("tabby")
    name = picture_of(workers, uploads, "tabby")
    assert is_kept(uploads, name)
    workers.start()

    assert workers.ended(job).state is JobState.DONE
    assert not is_kept(uploads, name)


def test_a_picture_of_a_cancelled_async_job_is_not_kept(workers, uploads):
    job = workers.create("tabby")
    name = picture_of(workers, uploads, "tabby")
    workers.async_jobs.cancel(job.id, SENDER)

    assert not is_kept(uploads, name)


def test_two_senders_of_the_same_bytes_both_hold_their_picture(workers, uploads):
    """One's job has ended, the other's has not; a strict and a lenient reading are two computations."""
    first, second = workers.submit("tabby"), workers.submit("tabby", strict=False)
    name = picture_of(workers, uploads, "tabby")
    assert holders(workers, name) == 2

    workers.redis.zrem(keys.holders(name), first.job_id)
    assert is_kept(uploads, name)

    workers.start()
    workers.outcome(first)
    workers.outcome(second)
    assert not is_kept(uploads, name)


def test_a_picture_is_kept_for_the_worker_that_takes_a_dead_ones_job(workers, uploads):
    submission = workers.submit("slow")
    name = picture_of(workers, uploads, "slow")
    first = workers.start()
    eventually(lambda: workers.batches() == ["slow"], "it runs")
    first.kill()
    assert is_kept(uploads, name)
    workers.start()

    assert isinstance(workers.outcome(submission), Classification)
    assert not is_kept(uploads, name)


def test_a_job_that_never_ends_holds_its_picture_no_longer_than_it_may_be_wanted(workers, uploads, monkeypatch):
    workers.submit("tabby", wanted_for_s=3)
    name = picture_of(workers, uploads, "tabby")
    assert is_kept(uploads, name)
    assert 0 < workers.redis.ttl(keys.holders(name)) <= picture_holders.KEY_TTL_S

    now = time.time()
    monkeypatch.setattr(picture_holders, "read_time_s", lambda _redis: now + 4 + picture_holders.GRACE_S)
    assert not is_kept(uploads, name)


def test_the_longest_of_several_jobs_decides_how_long_they_hold_their_picture(workers, uploads, monkeypatch):
    workers.create("tabby")
    name = picture_of(workers, uploads, "tabby")
    workers.submit("tabby", wanted_for_s=3)

    now = time.time()
    monkeypatch.setattr(picture_holders, "read_time_s", lambda _redis: now + JOB_TTL_S)
    assert is_kept(uploads, name)


def test_what_somebody_else_writes_there_holds_nothing(workers, uploads):
    name = picture_of(workers, uploads, "tabby")
    workers.redis.set(keys.holders(name), "garbage")

    assert not is_kept(uploads, name)


# Room


def fill(uploads: Uploads) -> list[str]:
    """Fill the store with old pictures, the oldest first."""
    names = [uploads.put(b"%d" % number, f"sender {number}") for number in range(240)]
    for number, name in enumerate(names):
        path = uploads.store._folder / name[:2] / name
        os.utime(path, (time.time() - 10_000 + number,) * 2)
    return names


def test_the_pictures_sent_longest_ago_make_room_for_a_new_one(uploads):
    names = fill(uploads)
    deleted = []
    uploads.count_deleted = lambda reason, size: deleted.append((reason, size))
    new = uploads.put(bytes(50_000), SENDER)

    kept = [name in uploads.store for name in names]
    assert new in uploads.store
    assert kept == sorted(kept)  # the first are gone, the last are there
    assert 0 < kept.count(False) <= 100
    assert deleted == [("room", 4096 * kept.count(False))]
    assert uploads.room.used_bytes() <= MB


def test_pictures_that_jobs_need_stay_and_if_that_leaves_no_room_the_upload_is_refused(workers, uploads):
    names = fill(uploads)
    with workers.redis.pipeline() as pipe:
        for name in names:
            picture_holders.hold(pipe, name, "job", 60, time.time())
        pipe.execute()

    with pytest.raises(StoreFull):
        uploads.put(bytes(50_000), SENDER)
    assert all(name in uploads.store for name in names)


def test_one_senders_latest_pictures_which_nobody_may_delete_take_half_of_the_room(uploads):
    fill(uploads)
    for number in range(10):
        uploads.put(bytes([number]) * 50_000, SENDER)
    with pytest.raises(OverShare) as refused:
        uploads.put(b"one more" * 6000, SENDER)

    assert uploads.idle_s < refused.value.retry_after_s <= math.ceil(uploads.idle_s * 9 / 8)
    for number in range(8):
        uploads.put(bytes([100 + number]) * 50_000, "192.0.2.2")


def test_the_same_picture_again_and_again_takes_room_once(uploads):
    for _ in range(30):
        uploads.put(bytes(50_000), SENDER)
    assert uploads.room.used_bytes() == 50_000


def test_a_picture_that_was_not_stored_counts_against_nobody(uploads, monkeypatch):
    monkeypatch.setattr(uploads.store, "put_and_tell", lambda *_, **__: _raise(BackendDown("the disk is broken")))
    for _ in range(30):
        with pytest.raises(BackendDown):
            uploads.put(bytes(50_000), SENDER)


def _raise(error: Exception) -> None:
    raise error


def test_without_redis_nothing_is_deleted(uploads, monkeypatch):
    names = fill(uploads)

    def down(*_: object) -> set[str]:
        raise BackendDown("Redis does not answer")

    monkeypatch.setattr(uploads, "_held", partial(down))
    with pytest.raises(BackendDown):
        uploads.put(bytes(50_000), SENDER)
    assert all(name in uploads.store for name in names)


# Retention and refused pictures


def test_retention_deletes_what_was_not_sent_again_but_for_what_a_job_needs(workers, uploads, services):
    workers.create("tabby")
    needed, old = picture_of(workers, uploads, "tabby"), picture_of(workers, uploads, "lynx")
    new = uploads.put(b"new", SENDER)
    for name in (needed, old):
        path = uploads.store._folder / name[:2] / name
        os.utime(path, (time.time() - 8 * 86400,) * 2)
    for shard in range(256):
        services.retention.sweep(shard)

    assert [name in uploads.store for name in (needed, old, new)] == [True, False, True]


def test_a_picture_that_no_worker_could_read_is_deleted_a_while_later(workers, uploads, services, monkeypatch):
    name = uploads.put(GIF + b"bad", SENDER)
    workers.start()
    workers.outcome(workers.submit((GIF + b"bad").decode("latin-1")))
    services.retention.delete_refused()
    assert name in uploads.store  # another request may have it in hand

    now = time.time()
    monkeypatch.setattr("api.core.retention.read_time_s", lambda _redis: now + uploads.idle_s + 1)
    make_old(uploads, name)
    services.retention.delete_refused()
    assert name not in uploads.store
    assert workers.redis.zcard(keys.REFUSED_PICTURES) == 0


def test_a_refused_picture_that_is_sent_again_stays_for_the_job_that_will_need_it(workers, uploads, services):
    name = uploads.put(b"bad", SENDER)
    workers.redis.zadd(keys.REFUSED_PICTURES, {name: time.time() - 10_000})
    services.retention.delete_refused()

    assert name in uploads.store

"""``STORE_UPLOADS``: which pictures outlive the request that they came with; and senders who share nothing."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from api.core.client import Client
from api.core.errors import Undecodable
from api.services import Services
from api.settings import REPORTABLE_FOR_S, Settings, StoreUploads
from contract import keys
from contract.async_jobs import JobRequest
from contract.image_store import ImageStore
from tests.support.asking import CLASSIFICATION
from tests.support.scripted_worker import DIGEST, MODEL
from tests.support.workers import SENDER, ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.support.server import Server

CLIENT = Client(SENDER)


@pytest.fixture
def workers(valkey: Server, redis: Redis, tmp_path: Path) -> Iterator[ScriptedWorkers]:
    redis.flushall()
    workers = ScriptedWorkers(valkey, tmp_path)
    workers.start()
    yield workers
    workers.close()


@contextmanager
def storing(what: StoreUploads, redis_url: str, folder: Path) -> Iterator[Services]:
    services = Services.connect(
        Settings(
            redis_url=redis_url,
            upload_dir=folder / "uploads",
            copies_dir=folder / "copies",
            feedback_dir=folder / "feedback",
            store_uploads=what,
        )
    )
    yield services
    services.queue.close()


def sweep(services: Services, name: str, *, after_s: float) -> None:
    """Let the sweeper pass when the picture was sent so long ago."""
    path = Path(services.settings.image_store) / name[:2] / name
    os.utime(path, (time.time() - after_s,) * 2)
    services.retention.sweep(int(name[:2], 16))


def test_with_all_a_picture_stays_for_its_retention(valkey, workers):
    with storing("all", valkey.api_url, workers.folder) as services:
        name = services.inference.infer(b"tabby", CLIENT, CLASSIFICATION).picture
        sweep(services, name, after_s=100 * 3600)
        assert name in services.store
        sweep(services, name, after_s=169 * 3600)

        assert name not in services.store


def test_with_none_a_picture_goes_with_its_request_however_that_ends(valkey, workers):
    """Also one of which the answer was known, and one that no worker can read; and reports keep none."""
    with storing("none", valkey.api_url, workers.folder) as services:
        for cache in ("miss", "hit"):
            assert services.inference.infer(b"tabby", CLIENT, CLASSIFICATION).cache == cache
            assert len(list(_files(Path(services.settings.image_store)))) == 0
        with pytest.raises(Undecodable):
            services.inference.infer(b"bad", CLIENT, CLASSIFICATION)
        services.inference.infer_all([b"lynx", b"lynx", b"tiger"], CLIENT, CLASSIFICATION)
        services.reported.keep(services.uploads.put(b"reported", SENDER))

        assert [path.read_bytes() for path in _files(Path(services.settings.image_store))] == [b"reported"]
        assert list(_files(services.settings.feedback_dir)) == []


def test_with_none_the_pictures_of_a_batch_go_together(valkey, workers):
    """Two round trips for each would make a request of a hundred pictures wait."""
    looks = []
    with storing("none", valkey.api_url, workers.folder) as services:
        for batch in ([b"puma"], [b"tabby"], [b"tabby", b"lynx", b"tiger", b"lynx"]):
            for picture in batch:
                services.uploads.put(picture, SENDER)
            before = workers.redis.info("stats")["total_reads_processed"]
            services.uploads.finished(*(hashlib.sha256(picture).hexdigest() for picture in batch))
            looks.append(workers.redis.info("stats")["total_reads_processed"] - before)

        assert list(_files(Path(services.settings.image_store))) == []
    # The first opens the connection. Two for each would be four more; one request may be read in two pieces.
    assert looks[2] - looks[1] <= 1


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("[0-9a-f]*") if path.is_file())


def test_with_none_a_picture_stays_while_another_process_has_it_in_hand(valkey, workers):
    """Its file's time tells: whoever sent it last deletes it, and nobody before."""
    with (
        storing("none", valkey.api_url, workers.folder) as first,
        storing("none", valkey.api_url, workers.folder) as second,
        ThreadPoolExecutor() as threads,
    ):
        waiting = threads.submit(first.inference.infer, b"slow", CLIENT, CLASSIFICATION)
        eventually(lambda: workers.batches() == ["slow"], "it runs")
        name = second.uploads.put(b"slow", SENDER)
        waiting.result()
        assert name in second.store
        second.uploads.finished(name)

        assert name not in second.store


def test_with_none_a_picture_stays_while_a_job_needs_it(valkey, workers):
    with storing("none", valkey.api_url, workers.folder) as services:
        request = JobRequest("", top_k=1, min_score=0.0, top_k_sent=False)
        job = services.async_inference.create(b"slow", CLIENT, request, model=None, key=None)
        name = ImageStore(workers.folder / "elsewhere").put(b"slow")
        assert name in services.store
        workers.ended(job)
        sweep(services, name, after_s=services.settings.pictures_kept_for_s + 1)

        assert name not in services.store


def test_with_feedback_a_picture_stays_long_enough_to_be_reported_and_then_only_if_it_was(valkey, workers):
    with storing("feedback", valkey.api_url, workers.folder) as services:
        reported, other = (
            services.inference.infer(picture, CLIENT, CLASSIFICATION).picture for picture in (b"tabby", b"lynx")
        )
        for name in (reported, other):
            sweep(services, name, after_s=REPORTABLE_FOR_S - 60)
            assert name in services.store
        services.reported.keep(reported)
        for name in (reported, other):
            sweep(services, name, after_s=REPORTABLE_FOR_S + 60)

        assert [name in services.store for name in (reported, other)] == [False, False]
        assert [name in services.reported for name in (reported, other)] == [True, False]


# Copies are the pictures' own


def test_copies_take_room_and_go_with_their_picture(valkey, workers):
    with storing("all", valkey.api_url, workers.folder) as services:
        name = services.uploads.put(b"tabby", SENDER)
        services.uploads.copies.put(name, bytes(100_000))
        services.uploads.copies.put("0" * 64, bytes(100_000))  # of a picture that is gone
        services.retention.sweep(0)
        services.retention.sweep(int(name[:2], 16))
        assert services.uploads.room.used_bytes() == 100_000 + 4096
        sweep(services, name, after_s=169 * 3600)

        assert services.uploads.room.used_bytes() == 0
        assert list(_files(services.settings.copies_dir)) == []


# Private senders


def test_a_private_sender_is_told_nothing_of_others_and_tells_them_nothing(valkey, workers):
    """``X-Cache: hit`` says that somebody else has sent the same picture in the last minutes."""
    private = Client(SENDER, private=True)
    with storing("all", valkey.api_url, workers.folder) as services, ThreadPoolExecutor() as threads:
        assert services.inference.infer(b"tabby", private, CLASSIFICATION).cache == "miss"
        assert services.inference.infer(b"tabby", CLIENT, CLASSIFICATION).cache == "miss"
        assert services.inference.infer(b"tabby", private, CLASSIFICATION).cache == "miss"
        assert services.inference.infer(b"tabby", CLIENT, CLASSIFICATION).cache == "hit"
        others = threads.submit(services.inference.infer, b"slow", CLIENT, CLASSIFICATION)
        eventually(lambda: "slow" in workers.batches(), "it runs")

        assert services.inference.infer(b"slow", private, CLASSIFICATION).cache == "miss"
        name = others.result().picture
        assert workers.redis.exists(keys.answer(MODEL, DIGEST, name))

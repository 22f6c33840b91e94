"""What is deleted from a bucket, and when: with the uploads of a process, a real object store and a real Redis."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any
from unittest import mock
from uuid import uuid4

import pytest

from api.core.bucket_sweep import BucketSweep
from api.core.uploads import Uploads
from api.settings import Settings
from contract import keys, picture_holders
from contract.redis_clients import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from tests.support.object_store import ObjectStore
    from tests.support.server import Server

DAY_S = 86400
JPEG = b"\xff\xd8\xff\xe0" + bytes(100)


@pytest.fixture
def open_uploads(object_store: ObjectStore, valkey: Server, redis: Redis) -> Callable[..., tuple[Uploads, BucketSweep]]:
    prefix = uuid4().hex
    redis.delete(keys.SWEPT)

    def open_uploads(**others: Any) -> tuple[Uploads, BucketSweep]:
        place = {"image_store": object_store.place(prefix), "image_store_endpoint": object_store.endpoint}
        settings = Settings.model_validate({"redis_url": valkey.api_url, "retention_hours": 24, **place, **others})
        commands = connect(settings.redis_address)
        with mock.patch.dict(os.environ, object_store.environment):
            uploads = Uploads(settings, commands)
        assert uploads.in_bucket is not None
        sweep = BucketSweep(
            uploads,
            *uploads.in_bucket,
            commands,
            kept_for_s=settings.pictures_kept_for_s,
            most_bytes=settings.uploads_mb * 1_000_000,
        )
        return uploads, sweep

    return open_uploads


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock of this process on, by so many seconds."""
    now = time.time
    return lambda by_s: monkeypatch.setattr(time, "time", lambda: now() + by_s)


def test_a_round_deletes_what_is_too_old_and_its_copies_and_nothing_that_a_job_needs(open_uploads, later, redis):
    uploads, sweep = open_uploads()
    deleted: list[tuple[str, int]] = []
    uploads.count_deleted = lambda reason, freed: deleted.append((reason, freed))
    old, needed = uploads.put(b"old", "sender"), uploads.put(b"needed", "sender")
    for name in (old, needed, f"{old}-{'d' * 64}"):
        uploads.copies.put(name, JPEG)
    with redis.pipeline() as pipe:
        picture_holders.hold(pipe, needed, "job", 2 * DAY_S)
        pipe.execute()
    sweep.make_round()
    assert (old in uploads.store, deleted) == (True, [])

    later(DAY_S + 10)
    sweep.make_round()

    assert (old in uploads.store, needed in uploads.store) == (False, True)
    assert uploads.copies.names(old) == []
    assert deleted == [("age", len(b"old") + 2 * len(JPEG))]


def test_what_has_no_room_goes_but_nothing_young(open_uploads, later):
    """Whoever sends a picture again before it would be stored again counts on its being there."""
    uploads, sweep = open_uploads(uploads_mb=1)
    names = [uploads.put(bytes([number]) * 400_000, f"sender {number}") for number in range(3)]
    sweep.make_round()
    assert all(name in uploads.store for name in names)

    later(DAY_S / 2 + 600)
    sweep.make_round()
    assert not any(name in uploads.store for name in names)


def test_one_process_of_all_makes_a_round_at_a_time(open_uploads, redis):
    """Listing costs: however many processes there are, the bucket is listed once."""
    (_, first), (_, second) = open_uploads(), open_uploads()
    rounds: list[str] = []
    first.make_round = lambda: rounds.append("first")
    second.make_round = lambda: rounds.append("second")
    for sweep in (first, second, first):
        sweep.sweep(0)

    assert rounds == ["first"]
    assert 0 < redis.ttl(keys.SWEPT) <= 3600


def test_without_keeping_pictures_one_goes_when_its_request_is_over(open_uploads):
    uploads, _ = open_uploads(store_uploads="none")
    picture = uploads.sent(b"secret", "sender")
    assert picture.name not in uploads.store

    picture.keep()
    assert picture.name in uploads.store

    time.sleep(1.1)  # the store tells its time in whole seconds
    uploads.finished(picture.name)
    assert picture.name not in uploads.store


def test_a_picture_that_is_deleted_as_asked_is_gone_with_its_copies(open_uploads):
    uploads, _ = open_uploads()
    name, other = uploads.put(b"private", "sender"), uploads.put(b"another", "sender")
    drawn = [f"{name}-{digit * 64}" for digit in "ab"]
    for copy in (name, *drawn, other, f"{other}-{'a' * 64}"):
        uploads.copies.put(copy, JPEG)
    uploads.delete(name)

    assert name not in uploads.store
    assert uploads.copies.names(name) == []
    assert [uploads.copies.remove(copy) for copy in (name, *drawn)] == [0, 0, 0]
    assert len(uploads.copies.names(other)) == 2

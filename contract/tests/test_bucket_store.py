"""Pictures in a bucket of a real object store."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from contract.errors import BackendDown, PictureNotFound, StoreMisused
from contract.image_store.bucket_copies import BucketCopies
from contract.image_store.bucket_store import BucketStore
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contract.image_store.bucket import Bucket
    from tests.support.object_store import ObjectStore

PICTURE = b"picture"
NAME = hashlib.sha256(PICTURE).hexdigest()
PATH = f"pictures/{NAME[:2]}/{NAME}"
WEEK_S = 7 * 86400.0
IDLE_S = 60.0


@pytest.fixture
def bucket(object_store: ObjectStore) -> Bucket:
    return object_store.bucket(uuid4().hex)


@pytest.fixture
def store(bucket: Bucket) -> BucketStore:
    return BucketStore(bucket, renewed_after_s=WEEK_S / 2)


def nobody(_: Sequence[str]) -> set[str]:
    return set()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch):
    """Moves our clock on, by so many seconds."""
    now = time.time

    def move(by_s: float) -> None:
        monkeypatch.setattr("contract.image_store.bucket_store.time.time", lambda: now() + by_s)

    return move


def test_a_picture_is_stored_once_under_its_content_hash(store, bucket):
    stored = [store.put_and_tell(PICTURE), store.put_and_tell(PICTURE)]

    assert stored == [(NAME, True), (NAME, False)]
    assert [[found.name for found in page] for page in store.pages()] == [[NAME]]
    assert [name for _, name in store.pictures(int(NAME[:2], 16))] == [NAME]
    assert store.pictures(int(NAME[:2], 16) ^ 1) == []
    assert store.read(NAME) == PICTURE
    assert bucket.look(PATH) is not None


@pytest.mark.parametrize("name", ["", "..", "../writable", "A" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n", "0" * 64])
def test_only_a_hash_is_a_name(store, name):
    with pytest.raises(PictureNotFound):
        store.read(name)
    assert name not in store


def test_the_same_picture_from_many_senders_at_once_is_whole(store):
    picture = os.urandom(1_000_000)
    with ThreadPoolExecutor(8) as senders:
        names = set(senders.map(store.put, [picture] * 16))

    assert store.read(names.pop()) == picture
    assert names == set()


def test_a_picture_that_will_soon_be_too_old_is_stored_again(store, later):
    """A store tells how old an object is by when it was last stored, and by nothing else."""
    store.put(PICTURE)
    later(WEEK_S / 2 - 60)
    assert store.put_and_tell(PICTURE) == (NAME, False)

    later(WEEK_S / 2 + 60)
    assert store.put_and_tell(PICTURE) == (NAME, True)


@pytest.mark.parametrize("found", [b"", bytes(7), b"another"], ids=["shortened", "zeros", "another picture"])
def test_other_bytes_are_not_read_and_the_next_upload_replaces_them(store, bucket, found):
    store.put(PICTURE)
    bucket.replace(PATH, found)

    with pytest.raises(PictureNotFound):
        BucketStore(bucket).read(NAME)  # another process: this one does not hear of it

    store.put(PICTURE)
    assert store.read(NAME) == PICTURE


def test_a_picture_that_a_reader_found_bad_is_replaced_although_the_store_says_that_it_is_well(store):
    """A store tells of the bytes that it was sent, not of those that it gives."""
    store.put(PICTURE)
    store.distrust(NAME)

    assert store.put_and_tell(PICTURE) == (NAME, True)
    assert store.put_and_tell(PICTURE) == (NAME, False)


def test_a_picture_that_was_sent_long_ago_and_that_nobody_needs_goes(store, later):
    store.put(PICTURE)
    later(IDLE_S + 5)

    assert store.remove([NAME], idle_s=IDLE_S, held=nobody) == len(PICTURE)
    assert NAME not in store


def test_a_picture_that_is_young_or_needed_stays(store, later):
    store.put(PICTURE)
    assert store.remove([NAME], idle_s=IDLE_S, held=nobody) == 0

    later(IDLE_S + 5)
    assert store.remove([NAME], idle_s=IDLE_S, held=set) == 0
    assert store.read(NAME) == PICTURE


def test_a_picture_is_looked_at_again_just_before_it_is_deleted(store, later):
    """Deleting a page of a thousand takes seconds: what is submitted in them stays."""
    store.put(PICTURE)
    later(IDLE_S + 5)
    asked: list[Sequence[str]] = []

    def held(names: Sequence[str]) -> Sequence[str]:
        asked.append(names)
        return names if len(asked) > 1 else ()

    assert store.remove([NAME], idle_s=IDLE_S, held=held) == 0
    assert store.read(NAME) == PICTURE


def test_a_picture_that_is_deleted_for_its_sender_is_gone_whoever_needs_it(store):
    store.put(PICTURE)

    assert (store.size_bytes(NAME), store.delete(NAME), store.delete(NAME)) == (len(PICTURE), len(PICTURE), 0)
    with pytest.raises(PictureNotFound):
        store.open(NAME)
    assert store.sent_at_ns(NAME) is None


def test_copies_have_a_place_of_their_own(bucket, store):
    copies, jpeg = BucketCopies(bucket), b"\xff\xd8\xff\xe0" + bytes(100)
    copies.put(NAME, jpeg)

    assert copies.open(NAME).read() == jpeg
    assert NAME not in store
    assert copies.remove(NAME) == len(jpeg)
    with pytest.raises(PictureNotFound):
        copies.open(NAME)


def test_drawn_copies_are_told_with_the_copy_of_their_picture_the_oldest_first(bucket):
    copies, jpeg = BucketCopies(bucket), b"\xff\xd8\xff\xe0" + bytes(100)
    first, second = f"{NAME}-{'f' * 64}", f"{NAME}-{'0' * 64}"
    for name in ("0" * 64, f"{'0' * 64}-{'0' * 64}", first):
        copies.put(name, jpeg)
    for name in (NAME, second):
        time.sleep(1.1)  # the store tells its time in whole seconds
        copies.put(name, jpeg)

    assert copies.names(NAME) == [first, NAME, second]
    assert copies.open(first).read() == jpeg
    assert (copies.remove(first), copies.remove(first)) == (len(jpeg), 0)
    assert copies.names(NAME) == [NAME, second]
    assert [found.name for page in copies.pages() for found in page if found.name.startswith(NAME)] == [NAME, second]


def test_a_large_copy_is_read_in_pieces(bucket):
    """Whoever asks for many and reads none of them takes a piece's memory for each, and not all of them."""
    copies, jpeg = BucketCopies(bucket), b"\xff\xd8\xff\xe0" + os.urandom(2_500_000)
    copies.put(NAME, jpeg)
    with copies.open(NAME) as file:
        assert (file.seek(0, os.SEEK_END), file.seek(4)) == (len(jpeg), 4)
        pieces = list(iter(lambda: file.read(64 * 1024), b""))

    assert b"".join(pieces) == jpeg[4:]


def test_what_is_no_copy_is_not_shown(bucket):
    """Workers write there, and one may have been taken over by a picture."""
    copies = BucketCopies(bucket)
    copies.put(NAME, b"<html>")

    with pytest.raises(PictureNotFound):
        copies.open(NAME)


def test_a_bucket_that_is_not_there_is_no_missing_picture(object_store):
    """A worker would end every accepted job as one whose picture is lost."""
    store = BucketStore(object_store.bucket("", name="no-such-bucket"), renewed_after_s=1)

    for use in (lambda: store.read(NAME), lambda: store.put(PICTURE), store.check_writable):
        with pytest.raises(StoreMisused, match="bucket is not there"):
            use()


def test_refused_credentials_are_told_without_names(object_store):
    store = BucketStore(object_store.bucket("", user="stranger"), renewed_after_s=1)

    for use in (lambda: store.read(NAME), lambda: store.put(PICTURE), lambda: NAME in store, store.check_writable):
        with pytest.raises(StoreMisused, match="credentials are refused") as refused:
            use()
        assert "stranger" not in f"{refused.value}{refused.value.cause}"


def test_a_store_that_hangs_fails_within_the_deadline_and_goes_on_afterwards(object_store):
    bucket = object_store.bucket(uuid4().hex, timeout_s=2.0)
    store = BucketStore(bucket, renewed_after_s=WEEK_S)
    store.put(PICTURE)
    with object_store.frozen():
        for use in (lambda: store.read(NAME), lambda: store.put(b"another"), lambda: NAME in store):
            with pytest.raises(BackendDown, match="does not answer") as failed:
                use()
            assert not isinstance(failed.value, StoreMisused)

    assert store.read(NAME) == PICTURE


@pytest.mark.long
def test_a_store_that_is_killed_has_what_it_took(object_store):
    store = BucketStore(object_store.bucket(uuid4().hex, timeout_s=2.0), renewed_after_s=WEEK_S)
    store.put(PICTURE)
    with object_store.away(), pytest.raises(BackendDown, match="does not answer"):
        store.read(NAME)

    eventually(lambda: _read(store) == PICTURE, "it is read again")


def _read(store: BucketStore) -> bytes | None:
    """None while the parts of the store look for each other."""
    try:
        return store.read(NAME)
    except BackendDown:
        return None

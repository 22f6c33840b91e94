from __future__ import annotations

import errno
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from contract.errors import BackendDown, PictureNotFound
from contract.image_store import COMPARED_BYTES, ImageStore
from contract.store_room import SHARDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WEEK_S = 7 * 86400


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_picture_is_stored_once_under_its_content_hash(tmp_path):
    """Equal uploads share one file, whatever their senders called them."""
    store = ImageStore(tmp_path)
    names = {store.put(b"picture"), store.put(b"picture")}

    assert names == {hashlib.sha256(b"picture").hexdigest()}
    assert [path.read_bytes() for path in files(tmp_path)] == [b"picture"]
    assert store.read(names.pop()) == b"picture"


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 65, "0" * 63 + "\n"])
def test_only_a_hash_is_a_name(tmp_path, name):
    """A name comes from URLs and from the queue: it must not lead out of the folder."""
    with pytest.raises(PictureNotFound):
        ImageStore(tmp_path).read(name)


def test_an_unknown_picture_is_reported_as_unknown(tmp_path):
    with pytest.raises(PictureNotFound):
        ImageStore(tmp_path).read("0" * 64)


def test_the_same_picture_from_many_senders_at_once_is_whole(tmp_path):
    """Writers race for the same name; each leaves a complete file and no unfinished ones."""
    store, picture = ImageStore(tmp_path), os.urandom(1_000_000)
    with ThreadPoolExecutor(16) as senders:
        names = set(senders.map(store.put, [picture] * 32))

    assert len(names) == 1
    assert len(files(tmp_path)) == 1
    assert store.read(names.pop()) == picture


@pytest.mark.parametrize("found", [b"", bytes(7), b"another"], ids=["shortened", "zeros", "another picture"])
def test_a_file_that_holds_something_else_is_not_read_and_the_next_upload_replaces_it(tmp_path, found):
    """A power failure leaves such files; otherwise the picture is answered wrongly for as long as people send it."""
    store = ImageStore(tmp_path)
    name = store.put(b"picture")
    files(tmp_path)[0].write_bytes(found)

    with pytest.raises(PictureNotFound):
        store.read(name)

    store.put(b"picture")

    assert store.read(name) == b"picture"


def test_a_large_picture_is_compared_to_its_last_byte(tmp_path):
    store, picture = ImageStore(tmp_path), os.urandom(3 * COMPARED_BYTES + 1)
    name = store.put(picture)
    files(tmp_path)[0].write_bytes(picture[:-1] + bytes([picture[-1] ^ 1]))
    store.put(picture)

    assert store.read(name) == picture


def test_a_picture_deleted_just_as_it_is_sent_again_is_written_again(tmp_path, monkeypatch):
    """The sweeper is another process: it may delete a picture between the check and the refresh of its age."""
    store, make_young = ImageStore(tmp_path), os.utime
    name = store.put(b"picture")

    def make_young_too_late(path: Path) -> None:
        path.unlink()
        make_young(path)

    os.utime(tmp_path / name[:2] / name, (0, 0))
    monkeypatch.setattr(os, "utime", make_young_too_late)
    store.put(b"picture")

    assert store.read(name) == b"picture"


@pytest.mark.parametrize("known", [False, True], ids=["new", "stored before without waiting"])
def test_a_durable_picture_is_on_the_disk_before_its_name_is_given(tmp_path, monkeypatch, known):
    """A job is in Redis' log within a second; a picture in the page cache would be gone after a power failure."""
    store, synced = ImageStore(tmp_path), []
    if known:
        store.put(b"picture")
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    name = store.put(b"picture", durable=True)

    file = tmp_path / name[:2] / name
    assert synced == [path.stat().st_ino for path in (file, file.parent, tmp_path)]


def test_only_a_durable_put_waits_for_the_disk(tmp_path, monkeypatch):
    """A request that waits for its answer is sent again by its sender after a power failure."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    ImageStore(tmp_path).put(b"picture")

    assert synced == []


def test_a_picture_that_the_disk_refuses_gets_no_name(tmp_path, monkeypatch):
    """Its name would promise bytes that were never written."""

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)

    with pytest.raises(BackendDown, match="Input/output error"):
        ImageStore(tmp_path).put(b"picture", durable=True)
    assert files(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_reported_in_a_sentence(tmp_path):
    """Operators read this in /health and /readyz."""
    (tmp_path / "file").write_text("in the way")
    store = ImageStore(tmp_path / "file")

    with pytest.raises(BackendDown, match="can't be written"):
        store.check_writable()
    with pytest.raises(BackendDown, match="can't be stored"):
        store.put(b"picture")


def test_the_store_knows_what_it_holds_and_how_much(tmp_path):
    """A name from a stranger is looked up nowhere else."""
    store = ImageStore(tmp_path / "pictures")
    (tmp_path / "outside").write_bytes(b"not a picture")
    nothing = sum(map(store.shard_bytes, range(SHARDS)))
    names = [store.put(b"one"), store.put(b"three" * 1000)]

    assert [name in store for name in names] == [True, True]
    assert not any(name in store for name in ["a" * 64, "", "../outside", "..", names[0][:2], names[0].upper(), None])
    assert (nothing, sum(map(store.shard_bytes, range(SHARDS)))) == (0, 4096 + 5000)  # a file takes at least a block


@pytest.mark.parametrize("needed", [False, True])
def test_a_picture_is_deleted_for_its_sender_although_another_is_looking_whether_it_may_go(tmp_path, needed):
    """It is aside then, and would be put back after its sender was told that it is gone."""
    store = ImageStore.bounded(tmp_path, most_bytes=10**6, reserve_bytes=0)
    name = store.put(b"x")
    asked = []

    def held(names: Sequence[str]) -> Sequence[str]:
        asked.append(names)
        if len(asked) == 1:
            return ()
        store.delete(name)
        return names if needed else ()

    store.remove([name], idle_s=float("-inf"), held=held)

    assert len(asked) == 2
    assert name not in store
    assert store.room is not None
    assert store.room.used_bytes() == 0

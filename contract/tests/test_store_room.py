"""The room for stored pictures, which several processes share."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from shutil import disk_usage
from typing import TYPE_CHECKING

import pytest

from contract.errors import StoreFull
from contract.image_store import ImageStore
from contract.store_room import COUNTS, SHARDS

if TYPE_CHECKING:
    from pathlib import Path

PUT = """
import sys
from pathlib import Path
from contract.image_store import ImageStore
store = ImageStore.bounded(Path(sys.argv[1]), most_bytes=10**9, reserve_bytes=0)
for number in range(200):
    store.put(f"{sys.argv[2]} {number % 100}".encode())
"""


def bounded(folder: Path, most_bytes: int = 20_000, reserve_bytes: int = 0) -> ImageStore:
    return ImageStore.bounded(folder, most_bytes=most_bytes, reserve_bytes=reserve_bytes)


def used(store: ImageStore) -> int:
    assert store.room is not None
    return store.room.used_bytes()


def test_a_picture_for_which_there_is_no_room_is_refused_and_a_known_one_is_not(tmp_path):
    store = bounded(tmp_path)
    store.put(bytes(15_000))
    with pytest.raises(StoreFull):
        store.put(b"1" * 6_000)

    store.put(bytes(15_000))
    assert used(store) == 15_000


def test_tiny_pictures_take_a_block_each(tmp_path):
    store = bounded(tmp_path)
    for number in range(4):
        store.put(bytes([number]))
    with pytest.raises(StoreFull):
        store.put(b"one more")


def test_the_reserve_of_the_disk_is_not_touched(tmp_path):
    """Redis' log on the same disk stops everything when there is no room for it."""
    store = bounded(tmp_path, most_bytes=10**18, reserve_bytes=disk_usage(tmp_path).free + 10**9)
    with pytest.raises(StoreFull):
        store.put(b"picture")


def test_processes_that_store_at_once_count_right(tmp_path):
    processes = [subprocess.Popen([sys.executable, "-c", PUT, str(tmp_path), f"process {n}"]) for n in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]

    store = bounded(tmp_path)
    assert used(store) == sum(map(store.shard_bytes, range(SHARDS))) == 300 * 4096


def test_pictures_of_the_version_before_are_counted(tmp_path):
    ImageStore(tmp_path).put(bytes(9_000))
    store = bounded(tmp_path)
    with pytest.raises(StoreFull):
        store.put(b"1" * 12_000)


@pytest.mark.parametrize("found", [b"", b"half of it", bytes(100_000)], ids=["empty", "short", "long"])
def test_a_count_that_cannot_be_is_made_anew(tmp_path, found):
    store = bounded(tmp_path, most_bytes=10**6)
    store.put(bytes(9_000))
    (tmp_path / COUNTS).write_bytes(found)

    assert used(store) == 9_000


def test_a_picture_that_replaces_a_bad_file_takes_its_room_too(tmp_path):
    store = bounded(tmp_path)
    name = store.put(bytes(9_000))
    (tmp_path / name[:2] / name).write_bytes(b"torn")
    assert store.room is not None
    store.room.correct(int(name[:2], 16))
    store.put(bytes(9_000))

    assert used(store) == 9_000


def test_a_picture_that_cannot_be_written_takes_no_room(tmp_path, monkeypatch):
    store = bounded(tmp_path)
    store.put(b"first")

    def refuse(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("contract.image_store.folder._write", refuse)
    with pytest.raises(KeyboardInterrupt):
        store.put(bytes(9_000))
    assert used(store) == 4096


def test_a_stored_picture_is_on_the_disk_before_its_name_only_where_that_is_promised(tmp_path, monkeypatch):
    """/v1/jobs answers when the picture would survive a power failure; a request whose sender waits does not."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    store = bounded(tmp_path)
    store.put(b"for a request")
    assert synced == []
    store.put(b"for a job", durable=True)
    assert len(synced) == 3  # the file, its subfolder and the folder
    assert hashlib.sha256(b"for a job").hexdigest() in store

"""When a stored picture's bytes may go, whoever sends it again in the middle of that."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from contract.errors import BackendDown, PictureNotFound
from contract.image_store import ASIDE, ASIDE_FOR_S, ImageStore
from contract.store_room import SHARDS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

IDLE_S = 60.0
PICTURE = b"picture"


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore.bounded(tmp_path, most_bytes=1_000_000, reserve_bytes=0)


@pytest.fixture
def name(store: ImageStore, tmp_path: Path) -> str:
    """A picture that was last sent long ago."""
    name = store.put(PICTURE)
    age(tmp_path / name[:2] / name)
    return name


def age(path: Path, by_s: float = 1000) -> None:
    os.utime(path, (time.time() - by_s,) * 2)


def nobody(_: Sequence[str]) -> set[str]:
    return set()


def used(store: ImageStore) -> int:
    assert store.room is not None
    return store.room.used_bytes()


class HolderWho:
    """Holds nothing; does something when asked for the ``turn``-th time."""

    def __init__(self, turn: int, act, answer: Collection[str] = ()) -> None:
        self._turn, self._act, self._answer = turn, act, answer

    def __call__(self, _names: Sequence[str]) -> Collection[str]:
        self._turn -= 1
        if self._turn == 0:
            self._act()
            return self._answer
        return set()


def test_a_picture_that_was_sent_long_ago_and_that_nobody_needs_goes(store, name):
    assert store.remove([name], idle_s=IDLE_S, held=nobody) == 4096
    assert name not in store
    assert used(store) == 0


def test_a_picture_that_was_sent_just_now_stays(store, name):
    store.put(PICTURE)

    assert store.remove([name], idle_s=IDLE_S, held=nobody) == 0
    assert store.read(name) == PICTURE


def test_a_picture_that_a_job_needs_stays_however_old_it_is(store, name):
    assert store.remove([name], idle_s=IDLE_S, held=set) == 0
    assert store.read(name) == PICTURE


@pytest.mark.parametrize("turn", [1, 2], ids=["before it is moved aside", "after it was moved aside"])
def test_a_picture_that_is_sent_again_meanwhile_is_there_afterwards(store, name, turn):
    """Before, the second look finds it young; after, its sender finds none and stores another."""
    store.remove([name], idle_s=IDLE_S, held=HolderWho(turn, lambda: store.put(PICTURE)))

    assert store.read(name) == PICTURE
    assert used(store) == 4096
    assert sum(map(store.shard_bytes, range(SHARDS))) == 4096


def test_a_picture_that_is_submitted_meanwhile_is_put_back(store, name):
    store.remove([name], idle_s=IDLE_S, held=HolderWho(2, lambda: None, answer={name}))

    assert store.read(name) == PICTURE
    assert used(store) == 4096


def test_a_picture_that_is_moved_aside_can_be_read(store, name):
    """A job that was submitted meanwhile, and taken at once, is no reason to say that its picture is lost."""
    read = []
    store.remove([name], idle_s=IDLE_S, held=HolderWho(2, lambda: read.append(store.read(name))))

    assert read == [PICTURE]


def test_if_nobody_can_tell_what_is_needed_everything_stays(store, name):
    def fail() -> None:
        raise BackendDown("Redis does not answer")

    for turn in (1, 2):
        with pytest.raises(BackendDown):
            store.remove([name], idle_s=IDLE_S, held=HolderWho(turn, fail))
        assert store.read(name) == PICTURE


def test_a_second_process_that_deletes_the_same_pictures_does_no_harm(store, name):
    other = HolderWho(2, lambda: store.remove([name], idle_s=IDLE_S, held=nobody))

    store.remove([name], idle_s=IDLE_S, held=other)

    with pytest.raises(PictureNotFound):
        store.read(name)
    assert used(store) == 0


def test_what_a_process_left_that_died_in_the_middle_is_tidied_up(store, name, tmp_path, monkeypatch):
    folder = tmp_path / name[:2]
    (folder / name).rename(folder / (ASIDE + name))
    (folder / ".part-scrap").write_bytes(b"half")
    store.tidy(int(name[:2], 16))
    assert len(list(folder.iterdir())) == 2  # it may still be alive

    now = time.time()
    monkeypatch.setattr("contract.image_store.folder.time.time", lambda: now + ASIDE_FOR_S + 1)
    store.tidy(int(name[:2], 16))

    assert [path.name for path in folder.iterdir()] == [name]
    assert used(store) == 4096


def test_counting_anew_mends_what_a_died_process_has_counted(store, name, tmp_path):
    (tmp_path / name[:2] / name).unlink()
    assert used(store) == 4096
    for shard in range(SHARDS):
        store.tidy(shard)
    assert used(store) == 0

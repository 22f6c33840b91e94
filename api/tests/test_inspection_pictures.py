"""The pictures of inspections: the newest are there, however many there were, and their room is counted truly."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

import pytest

from api.core.uploads import Uploads
from api.feedback.deletion import Deletion
from api.inspection import pictures as inspection_pictures
from api.inspection.latest import LatestPicture
from api.inspection.pictures import InspectedPictures
from api.settings import Settings
from contract import deleted_pictures
from contract.image_store import ImageStore
from contract.messages import Detection, Timings
from contract.store_room import BLOCK_BYTES, SHARDS

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

ROOM = 40  # pictures of one block
LONG_AGO_S = 1000


@pytest.fixture
def uploads(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "uploads")


@pytest.fixture
def kept(tmp_path: Path, uploads: ImageStore) -> InspectedPictures:
    return a_process(tmp_path, uploads)


def a_process(place: Path, uploads: ImageStore, *, reserve_bytes: int = 0) -> InspectedPictures:
    return InspectedPictures(place / "inspections", uploads, most_bytes=ROOM * BLOCK_BYTES, reserve_bytes=reserve_bytes)


def keep(pictures: InspectedPictures, uploads: ImageStore, *contents: str) -> list[str]:
    """Each as if it had just been sent; returns their names."""
    names = [uploads.put(content.encode()) for content in contents]
    for name in names:
        pictures.keep(name)
    return names


def age(pictures: InspectedPictures, names: list[str]) -> None:
    """The first becomes the oldest."""
    began = time.time() - LONG_AGO_S
    for seconds, name in enumerate(names):
        os.utime(pictures.folder / name[:2] / name, (began + seconds,) * 2)


def there(pictures: InspectedPictures) -> set[str]:
    return {name for shard in range(SHARDS) for _, name in pictures.store.pictures(shard)}


def used_bytes(pictures: InspectedPictures) -> int:
    assert pictures.store.room is not None
    return pictures.store.room.used_bytes()


def test_when_there_is_no_room_the_oldest_go_and_the_newest_is_kept(kept, uploads):
    """A line that fails parts all night must find the last one's picture in the morning, not the first one's."""
    old = keep(kept, uploads, *(f"part {number}" for number in range(ROOM)))
    age(kept, old)
    (new,) = keep(kept, uploads, "the next part")

    assert there(kept) == {*old[2:], new}  # a twentieth of the room at once
    assert used_bytes(kept) == (ROOM - 1) * BLOCK_BYTES


def test_a_picture_that_is_inspected_again_is_among_the_newest(kept, uploads):
    old = keep(kept, uploads, *(f"part {number}" for number in range(ROOM)))
    age(kept, old)
    keep(kept, uploads, "part 0", "the next part")

    assert old[0] in kept
    assert old[1] not in kept


def test_a_picture_larger_than_the_whole_room_takes_nothing_from_what_is_there(kept, uploads):
    old = keep(kept, uploads, *(f"part {number}" for number in range(ROOM)))
    (huge,) = keep(kept, uploads, "x" * (ROOM + 1) * BLOCK_BYTES)

    assert huge not in kept
    assert there(kept) == set(old)


def test_a_full_disk_takes_nothing_from_what_is_there(tmp_path, kept, uploads):
    """Others have filled it: what makes room there is gone at once."""
    old = keep(kept, uploads, *(f"part {number}" for number in range(ROOM // 2)))
    (new,) = keep(a_process(tmp_path, uploads, reserve_bytes=2**60), uploads, "the next part")

    assert new not in kept
    assert there(kept) == set(old)


def test_a_picture_that_is_deleted_while_it_is_kept_is_not(kept, uploads, monkeypatch):
    read = uploads.read

    def read_and_delete(name: str) -> bytes:
        data: bytes = read(name)
        uploads.delete(name)
        kept.delete(name)
        return data

    monkeypatch.setattr(uploads, "read", read_and_delete)
    (name,) = keep(kept, uploads, "a")

    assert name not in kept


def test_no_room_at_all_keeps_none(tmp_path, uploads):
    nowhere = InspectedPictures(tmp_path / "inspections", uploads, most_bytes=0, reserve_bytes=0)
    keep(nowhere, uploads, "part 0")

    assert there(nowhere) == set()


def test_several_processes_at_once_keep_what_is_newest_and_count_it_truly(tmp_path, uploads):
    """Each has a lock of its own on the file, as processes have."""
    processes = [a_process(tmp_path, uploads) for _ in range(4)]
    with ThreadPoolExecutor(len(processes)) as threads:
        work = [
            threads.submit(keep, process, uploads, *(f"part {number} of {line}" for number in range(2 * ROOM)))
            for line, process in enumerate(processes)
        ]
        last = [done.result()[-1] for done in work]

    assert used_bytes(processes[0]) == len(there(processes[0])) * BLOCK_BYTES
    assert ROOM // 2 < len(there(processes[0])) <= ROOM
    assert set(last) & there(processes[0])


def test_what_is_looked_at_while_another_makes_room_is_not_deleted_if_it_is_sent_again(kept, uploads, monkeypatch):
    """Between the look at all files and the deletion of one the part may come again."""
    old = keep(kept, uploads, *(f"part {number}" for number in range(ROOM)))
    age(kept, old)
    listed = list(kept._kept())
    keep(kept, uploads, "part 0")
    monkeypatch.setattr(inspection_pictures.InspectedPictures, "_kept", lambda _pictures: iter(listed))
    keep(kept, uploads, "the next part")

    assert old[0] in kept


class DeletedWhileRead(ImageStore):
    """Somebody deletes a picture, here and wherever else it is, when somebody else has just read it."""

    elsewhere: InspectedPictures | LatestPicture

    def read(self, name: str) -> bytes:
        data = super().read(name)
        self.delete(name)
        self.elsewhere.delete(name)
        return data


def test_a_picture_that_is_deleted_while_it_is_being_kept_is_not_kept(tmp_path):
    uploads = DeletedWhileRead(tmp_path / "uploads")
    uploads.elsewhere = kept = a_process(tmp_path, uploads)
    (name,) = keep(kept, uploads, "a part")

    assert name not in kept


def test_a_picture_that_is_deleted_while_it_becomes_the_latest_is_not(tmp_path):
    uploads = DeletedWhileRead(tmp_path / "uploads")
    uploads.elsewhere = latest = LatestPicture(tmp_path, uploads, kept=True, reserve_bytes=0)
    latest.keep(uploads.put(b"a part"), Detection("parts", "0" * 64, (), 8, 6, Timings(0, 0)))

    assert latest.open() is None


def test_what_is_drawn_on_while_it_is_deleted_is_gone_from_the_uploads_too(tmp_path, monkeypatch):
    """To be drawn on, what was kept is among the uploads again: perhaps after these have been looked at."""
    uploads = Uploads(Settings(upload_dir=tmp_path / "uploads", copies_dir=tmp_path / "copies"), cast("Redis", None))
    name = uploads.put(b"a part", "somebody")

    class PutBack:
        def delete(self, _name: str) -> None:
            assert uploads.put(b"a part", "somebody") == name

    monkeypatch.setattr(deleted_pictures, "delete", lambda _redis, _picture: True)
    Deletion(cast("Redis", None), uploads, PutBack()).delete(name)

    assert name not in uploads.store

"""Drawn pictures as the API keeps and asks for them; who makes them is played."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, cast

import pytest

from api.core.client import Client
from api.core.drawn_pictures import MOST_OF_A_PICTURE, DrawnPictures
from api.core.errors import NoWorker
from api.core.live_workers import Fleet, WorkerPool
from api.core.uploads import Uploads
from api.settings import Settings
from contract.errors import PictureNotFound
from contract.messages import Detection, Timings
from contract.redis_memory import RedisMemory
from contract.worker_registry import WorkerEntry
from tests.pictures import odd

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

    from api.core.copy_making import CopyMaking
    from api.core.live_workers import LiveWorkers
    from contract.messages import DrawJob

PHOTO = odd.CHELSEA.read_bytes()
DRAWN = b"\x89PNG\r\n\x1a\n" + bytes(5000)
CLIENT, PRIVATE = Client("198.51.100.7"), Client("198.51.100.8", private=True)
NEW = WorkerEntry(
    worker_id="1", host="a", model="", digest="d" * 64, batch=8, service_ms=9, makes_copies=True, draws=True
)
OLDER = replace(NEW, worker_id="2", draws=False)
OLDEST = replace(NEW, worker_id="3", draws=False, makes_copies=False)


MEMORY = RedisMemory(0, 0, "noeviction")


def detection(width: int = 451) -> Detection:
    return Detection("parts", "d" * 64, (), width, 300, Timings(1, 2))


@dataclass
class Making:
    """Workers that draw at once."""

    uploads: Uploads
    asked: list[str] = field(default_factory=list)

    def open(self, job: DrawJob, pool: WorkerPool, _client: Client) -> IO[bytes]:
        self.asked.append(pool.model)
        self.uploads.copies.put(job.copy_name, DRAWN)
        self.uploads.count_copy(job.picture, len(DRAWN))
        return self.uploads.copies.open(job.copy_name)


@dataclass
class Workers:
    pools: dict[str, WorkerPool]

    def fleet(self) -> Fleet:
        return Fleet(versions=(), states={}, pools=self.pools, memory=MEMORY)


def pool(model: str, *workers: WorkerEntry) -> WorkerPool:
    return WorkerPool(model=model, digest="d" * 64, workers=workers, memory=MEMORY, queued=0, seen_at=0.0)


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    settings = Settings(upload_dir=tmp_path / "uploads", copies_dir=tmp_path / "copies")
    return Uploads(settings, cast("Redis", None))  # who holds pictures is not asked here


def drawn_by(uploads: Uploads, making: Making, *pools: WorkerPool, shared: bool = True) -> DrawnPictures:
    workers = Workers({pool.model: pool for pool in pools or (pool("parts", NEW),)})
    return DrawnPictures(uploads, cast("LiveWorkers", workers), cast("CopyMaking", making), shared=shared)


def kept(uploads: Uploads, picture: str) -> int:
    return len(uploads.copies.names(picture))


def test_of_one_picture_a_few_drawings_are_kept(uploads):
    """However many wishes somebody has, they do not push other people's pictures out."""
    picture, other = uploads.put(PHOTO, "a"), uploads.put(PHOTO + b"!", "a")
    drawn = drawn_by(uploads, making := Making(uploads))
    uploads.copies.put(picture, DRAWN)
    drawn.open(other, detection(), CLIENT, "image/png").close()
    before = uploads.room.used_bytes()
    for width in range(1, 21):
        drawn.open(picture, detection(width), CLIENT, "image/png").close()
    drawn.open(picture, detection(20), CLIENT, "image/png").close()

    assert len(making.asked) == 21
    assert kept(uploads, picture) == 1 + MOST_OF_A_PICTURE
    assert kept(uploads, other) == 1
    assert uploads.room.used_bytes() == before + MOST_OF_A_PICTURE * len(DRAWN)


@pytest.mark.parametrize(("client", "shared", "computed"), [(CLIENT, True, 1), (PRIVATE, True, 2), (CLIENT, False, 2)])
def test_where_nothing_is_shared_nothing_is_kept(uploads, client, shared, computed):
    picture = uploads.put(PHOTO, "a")
    drawn = drawn_by(uploads, making := Making(uploads), shared=shared)
    for _ in range(2):
        with drawn.open(picture, detection(), client, "image/png") as file:
            assert file.read() == DRAWN

    assert len(making.asked) == computed
    assert kept(uploads, picture) == (1 if computed == 1 else 0)


def test_what_was_drawn_goes_with_its_picture(uploads):
    picture = uploads.put(PHOTO, "a")
    drawn_by(uploads, Making(uploads)).open(picture, detection(), CLIENT, "image/jpeg").close()
    uploads.delete(picture)

    assert kept(uploads, picture) == 0
    assert uploads.room.used_bytes() == 0
    with pytest.raises(PictureNotFound):
        drawn_by(uploads, Making(uploads)).open(picture, detection(), CLIENT, "image/jpeg")


@pytest.mark.parametrize(
    ("pools", "asked"),
    [
        ([pool("others", NEW), pool("parts", NEW)], "parts"),
        ([pool("others", NEW), pool("parts", NEW, OLDER)], "others"),
        ([pool("others", OLDEST), pool("parts", NEW, OLDEST)], "parts"),
        ([pool("others", NEW)], "others"),
    ],
    ids=[
        "who found the objects",
        "an older one would refuse it",
        "the oldest does not read the queue",
        "they are gone",
    ],
)
def test_it_is_drawn_by_who_can(uploads, pools, asked):
    picture = uploads.put(PHOTO, "a")
    drawn_by(uploads, making := Making(uploads), *pools).open(picture, detection(), CLIENT, "image/png").close()

    assert making.asked == [asked]


@pytest.mark.parametrize("workers", [(OLDEST,), (OLDER,), (NEW, OLDER)])
def test_while_nobody_can_draw_it_comes_later(uploads, workers):
    picture = uploads.put(PHOTO, "a")
    with pytest.raises(NoWorker):
        drawn_by(uploads, Making(uploads), pool("parts", *workers)).open(picture, detection(), CLIENT, "image/png")

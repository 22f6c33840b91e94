"""Everything that is done to the service.

A fault is over, and mended as an operator would, when its function returns.
"""

from __future__ import annotations

import signal
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stress_test.chaos import clients
from stress_test.site import kill
from stress_test.traffic.photos import base_photos, marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import psutil

    from stress_test.site import Site

HELD_S = 3.0  # how long what is held or full stays so
PICTURES_WAIT_S = 1.0  # less than a worker's lease
VANISHING = 30


@dataclass(frozen=True, slots=True)
class Fault:
    """``forgets``: it deletes the records of accepted jobs, so that they may be unknown afterwards."""

    name: str
    inject: Callable[[Site], None]
    forgets: bool = False
    needs_mount: bool = False


def _kill_worker(site: Site) -> None:
    kill(site.workers()[0])


def _kill_workers(site: Site) -> None:
    kill(*site.workers())


def _kill_api_process(site: Site) -> None:
    kill(site.api_processes()[0])


def _kill_api_master(site: Site) -> None:
    kill(site.api_master())


def _kill_redis(site: Site) -> None:
    kill(site.queue())


def _kill_everything(site: Site) -> None:
    kill(*site.all_processes())
    site.restart()


def _stop_worker(site: Site) -> None:
    site.workers()[0].terminate()


def _stop_api(site: Site) -> None:
    site.api_master().terminate()


def _reload_api(site: Site) -> None:
    site.api_master().send_signal(signal.SIGHUP)


def _freeze_worker(site: Site) -> None:
    with _frozen(site.workers()[0]):
        time.sleep(HELD_S)


def _freeze_redis(site: Site) -> None:
    with _frozen(site.queue()):
        time.sleep(HELD_S)


def _flush_redis(site: Site) -> None:
    with site.redis() as redis:
        redis.flushall()


def _fill_redis(site: Site) -> None:
    with site.redis() as redis:
        before = redis.config_get("maxmemory")["maxmemory"]
        redis.config_set("maxmemory", "1mb")  # less than the empty server uses
        try:
            time.sleep(HELD_S)
        finally:
            redis.config_set("maxmemory", str(before))


def _fill_queue_disk(site: Site) -> None:
    assert site.disk is not None
    with site.disk.full():
        time.sleep(HELD_S)


def _fill_picture_disk(site: Site) -> None:
    assert site.pictures is not None
    with site.pictures.full():
        time.sleep(HELD_S)


def _make_picture_disk_read_only(site: Site) -> None:
    assert site.pictures is not None
    with site.pictures.read_only():
        time.sleep(HELD_S)


def _lose_pictures(site: Site) -> None:
    with _waiting_pictures(site) as pictures:
        for picture in pictures:
            picture.unlink(missing_ok=True)


def _zero_pictures(site: Site) -> None:
    with _waiting_pictures(site) as pictures:
        for picture in pictures:
            picture.write_bytes(bytes(picture.stat().st_size))


def _exchange_pictures(site: Site) -> None:
    with _waiting_pictures(site) as pictures:
        contents = [picture.read_bytes() for picture in pictures]
        for picture, content in zip(pictures, contents[1:] + contents[:1], strict=True):
            picture.write_bytes(content)


def _slow_clients(site: Site) -> None:
    clients.slow(site.stack.url, 100, pause_s=0.5, pieces=10)


def _clients_vanish_in_the_body(site: Site) -> None:
    clients.vanish_in_the_body(site.stack.url, _photos())


def _clients_vanish_while_waiting(site: Site) -> None:
    clients.vanish_while_waiting(site.stack.url, _photos())


FAULTS: tuple[Fault, ...] = (
    Fault("no fault", lambda _: None),
    Fault("a worker is killed", _kill_worker),
    Fault("all workers are killed", _kill_workers),
    Fault("an API process is killed", _kill_api_process),
    Fault("gunicorn's master is killed", _kill_api_master),
    Fault("Redis is killed", _kill_redis),
    Fault("everything is killed, and started again", _kill_everything),
    Fault("a worker gets SIGTERM", _stop_worker),
    Fault("the API gets SIGTERM", _stop_api),
    Fault("the API gets SIGHUP", _reload_api),
    Fault(f"a worker is frozen, {HELD_S:.0f} s", _freeze_worker),
    Fault(f"Redis is frozen, {HELD_S:.0f} s", _freeze_redis),
    Fault("FLUSHALL", _flush_redis, forgets=True),
    Fault(f"Redis is full, {HELD_S:.0f} s", _fill_redis),
    Fault(f"the queue's disk is full, {HELD_S:.0f} s", _fill_queue_disk, needs_mount=True),
    Fault(f"the pictures' disk is full, {HELD_S:.0f} s", _fill_picture_disk, needs_mount=True),
    Fault(f"the pictures' disk is read-only, {HELD_S:.0f} s", _make_picture_disk_read_only, needs_mount=True),
    Fault("waiting pictures are lost", _lose_pictures),
    Fault("waiting pictures become zeros", _zero_pictures),
    Fault("waiting pictures are exchanged", _exchange_pictures),
    Fault("100 slow clients", _slow_clients),
    Fault(f"{VANISHING} clients vanish in the body", _clients_vanish_in_the_body),
    Fault(f"{VANISHING} clients vanish while they wait", _clients_vanish_while_waiting),
)


@contextmanager
def _frozen(*processes: psutil.Process) -> Iterator[None]:
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@contextmanager
def _waiting_pictures(site: Site) -> Iterator[list[Path]]:
    """The stored pictures that nobody has read yet: what came while the workers were held."""
    before = set(_stored(site))
    with _frozen(*site.workers()):
        time.sleep(PICTURES_WAIT_S)
        yield [picture for picture in _stored(site) if picture not in before]


def _stored(site: Site) -> list[Path]:
    """By content hash; a name with a suffix is one that is being written."""
    return sorted(path for path in site.uploads.rglob("*") if path.is_file() and "." not in path.name)


def _photos() -> list[bytes]:
    run, photos = uuid.uuid4().hex, list(base_photos().values())
    return [marked(photos[number % len(photos)], f"{run}-{number}") for number in range(VANISHING)]

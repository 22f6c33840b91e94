"""A service with which things are done: its processes, its Redis, its disks."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
from redis import Redis

from local.queue_users import operator_url
from stress_test.errors import CannotMeasure
from stress_test.service import health
from stress_test.small_disk import SmallDisk
from tests.support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS = 2
MODELS = "resnet50"  # what most reports are of, unless a run states others
WHOLE_WITHIN_S = 60.0
LOOK_EVERY_S = 0.1
_WORKER, _API, _QUEUE = "model.worker", "api.gunicorn_conf", "valkey-server"


class Site:
    """``make run`` in a folder of its own; ``disk`` holds the queue's log, ``pictures`` the stored pictures.

    Both are None where this may not mount: then what needs them is left out.
    """

    def __init__(self, stack: Stack, disk: SmallDisk | None, pictures: SmallDisk | None) -> None:
        self.stack, self.disk, self.pictures = stack, disk, pictures
        self.uploads = stack.data_dir / "uploads"

    @property
    def supervisor(self) -> psutil.Process:
        return psutil.Process(self.stack.process.pid)

    def workers(self) -> list[psutil.Process]:
        """Without the workers' sandboxes, which are their children."""
        return self._started_by(self.supervisor, _WORKER)

    def api_master(self) -> psutil.Process:
        return self._started_by(self.supervisor, _API)[0]

    def api_processes(self) -> list[psutil.Process]:
        return self._started_by(self.api_master(), _API)

    def queue(self) -> psutil.Process:
        return self._started_by(self.supervisor, _QUEUE)[0]

    def all_processes(self) -> list[psutil.Process]:
        return [self.supervisor, *self.supervisor.children(recursive=True)]

    @contextmanager
    def redis(self) -> Iterator[Redis]:
        """For whoever does things to it: as the operator, who may do all of them."""
        queue_dir = self.stack.data_dir / "queue"
        address = self.workers()[0].environ()["REDIS_URL"]
        with Redis.from_url(operator_url(queue_dir, Path(urlsplit(address).path))) as client:
            yield client

    def restart(self) -> None:
        """Start everything again after everything has been killed; on the same port and the same data."""
        self.stack.process.wait()
        assert self.stack.process.stdout is not None
        self.stack.process.stdout.close()
        self.stack.__enter__()
        if self.stack.process.poll() is not None:
            raise CannotMeasure(f"the service did not start again: {self.stack.printed.strip()[-400:]}")

    def wait_until_whole(self) -> None:
        """Wait until every part is there again.

        Raises:
            CannotMeasure: it does not happen; what the service says of itself.
        """
        deadline = time.monotonic() + WHOLE_WITHIN_S
        while (seen := health(self.stack.url)).get("workers") != WORKERS:
            if time.monotonic() > deadline:
                raise CannotMeasure(f"the service is not whole {WHOLE_WITHIN_S:.0f} s after a fault: {seen}")
            time.sleep(LOOK_EVERY_S)

    def _started_by(self, parent: psutil.Process, words: str) -> list[psutil.Process]:
        """Raises CannotMeasure: none is there within a second or two, the supervisor's pause before a restart."""
        deadline = time.monotonic() + WHOLE_WITHIN_S
        while not (found := [child for child in parent.children() if _runs(child, words)]):
            if time.monotonic() > deadline:
                raise CannotMeasure(f"no process of {words} is there")
            time.sleep(LOOK_EVERY_S)
        return found


@contextmanager
def running_site(folder: Path, **settings: str) -> Iterator[Site]:
    """A running service while the context lasts; ``folder`` is empty and absolute."""
    data = folder / "data"
    may_mount = os.geteuid() == 0 and SmallDisk.possible(folder)
    disk = SmallDisk(data) if may_mount else None
    pictures = SmallDisk(data / "uploads") if may_mount else None
    stack = Stack(data, **{"WORKERS": str(WORKERS), "MODELS": MODELS} | settings)
    try:
        for small in (disk, pictures):
            if small is not None:
                small.mount()
        with stack:
            if stack.process.poll() is not None:
                raise CannotMeasure(stack.printed.strip()[-400:])
            site = Site(stack, disk, pictures)
            site.wait_until_whole()
            yield site
    finally:
        for small in (pictures, disk):
            if small is not None:
                small.unmount()


def kill(*processes: psutil.Process) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


def _runs(process: psutil.Process, words: str) -> bool:
    try:
        return words in " ".join((process.name(), *process.cmdline()))
    except psutil.NoSuchProcess:
        return False

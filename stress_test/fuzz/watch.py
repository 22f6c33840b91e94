"""Whether the service's processes live on, and how much memory they take at most."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from stress_test.site import Site

EVERY_S = 0.5
# Resident memory, in MB, that no process may pass: an API process may read BODY_MEMORY_MB of uploads, a worker holds
# the model and a batch of the largest pictures, a sandbox what one picture may cost.
MOST_MB = {"api": 600, "worker": 1500, "sandbox": 1500}


class Watch:
    """Samples while the context lasts; a process that has been replaced counts as dead, a sandbox may be."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_over)
        self._before = self._processes()
        self.most_mb = dict.fromkeys(MOST_MB, 0.0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def faults(self) -> list[str]:
        """What is wrong with the processes now; call it before the service ends."""
        dead = [f"the {role} process {pid} died" for pid, role in self._before.items() if pid not in self._processes()]
        large = [
            f"a process of the kind {role} took {mb:.0f} MB, more than {MOST_MB[role]}"
            for role, mb in self.most_mb.items()
            if mb > MOST_MB[role]
        ]
        return dead + large

    def _processes(self) -> dict[int, str]:
        workers = {worker.pid: "worker" for worker in self._site.workers()}
        return {process.pid: "api" for process in self._site.api_processes()} | workers

    def _sample_until_over(self) -> None:
        while not self._over.wait(EVERY_S):
            for pid, role in self._before.items():
                with suppress(psutil.NoSuchProcess):
                    process = psutil.Process(pid)
                    self._note(role, process)
                    for child in process.children(recursive=True):
                        self._note("sandbox", child)

    def _note(self, role: str, process: psutil.Process) -> None:
        with suppress(psutil.NoSuchProcess):
            self.most_mb[role] = max(self.most_mb[role], process.memory_info().rss / 1e6)

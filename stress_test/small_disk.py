"""A disk that can be full, or read-only: a tmpfs, which only root may mount."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE_MB = 1000
STEPS_BYTES = (1 << 24, 1 << 18, 1 << 12)  # what does not fit as a whole is given back as a whole
BUSY_TRIES = 200
LOOK_EVERY_S = 0.02


class SmallDisk:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mounted = False

    @classmethod
    def possible(cls, folder: Path) -> bool:
        """Whether this machine lets us mount: root in a container often may not."""
        trial = cls(folder / "trial")
        try:
            trial.mount()
        except subprocess.CalledProcessError:
            return False
        trial.unmount()
        return True

    def mount(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(self._folder))
        self._mounted = True

    def unmount(self) -> None:
        if self._mounted:
            _run("umount", "--lazy", str(self._folder))
            self._mounted = False

    @contextmanager
    def full(self) -> Iterator[None]:
        ballast = self._folder / "ballast"
        with ballast.open("wb") as file:
            _take_all(file.fileno())
        try:
            yield
        finally:
            ballast.unlink(missing_ok=True)

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """It can't become so while a file is open for writing, so this tries between two."""
        for _ in range(BUSY_TRIES):
            with suppress(subprocess.CalledProcessError):
                _run("mount", "-o", "remount,ro", str(self._folder))
                break
            time.sleep(LOOK_EVERY_S)
        else:
            raise OSError(f"{self._folder} stays busy")
        try:
            yield
        finally:
            _run("mount", "-o", "remount,rw", str(self._folder))


def _take_all(descriptor: int) -> None:
    size = 0
    for step in STEPS_BYTES:
        with suppress(OSError):
            while True:
                os.posix_fallocate(descriptor, size, step)
                size += step


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)

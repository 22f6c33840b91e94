"""A lock that all processes on a file's machine know, and that the kernel releases when one of them dies."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from contract.private_files import FILE_MODE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RETRY_S = 0.005


@contextmanager
def locked(path: Path, *, wait_s: float) -> Iterator[int]:
    """Open a file for reading and writing, making it if need be, and hold its lock; yields its descriptor.

    Raises:
        TimeoutError: others held the lock for ``wait_s`` seconds.
        OSError: the file can't be opened.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        take_lock(file, fcntl.LOCK_EX, wait_s=wait_s)
        yield file
    finally:
        os.close(file)


def take_lock(file: int, kind: int, *, wait_s: float) -> None:
    """Lock an open file, by retrying instead of blocking, because greenlets share the thread.

    Args:
        file: its descriptor; closing it releases the lock.
        kind: ``fcntl.LOCK_EX`` for one alone, ``fcntl.LOCK_SH`` for readers.

    Raises:
        TimeoutError: others held the lock for ``wait_s`` seconds.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise TimeoutError("others held the file's lock for too long") from error
            time.sleep(RETRY_S)

"""The folder of ``make run``: one service at a time uses it, and Valkey's socket has its place in it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from local.preflight import CannotStart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.settings import Settings

LONGEST_SOCKET_PATH = 100  # bytes; Linux takes 107, other systems 103 (unix(7))


class InUse(CannotStart):
    """Another service uses the folder."""


@contextmanager
def locked(settings: Settings) -> Iterator[int]:
    """Keep others from using ``data_dir`` while the context lasts, or a process lives that has inherited the lock.

    Two queues would append to one log, and what either has accepted would be lost.

    Yields:
        The lock's descriptor, to be inherited.

    Raises:
        InUse: another service uses the folder.
    """
    lock = os.open(settings.data_dir / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUse(
                f"DATA_DIR={settings.data_dir} is used by another service that is running, or just ending: "
                "stop that, or choose another folder, as in DATA_DIR=other make run"
            ) from error
        yield lock
    finally:
        os.close(lock)


@contextmanager
def socket_path(settings: Settings) -> Iterator[Path]:
    """Where Valkey listens: beside its log, where nobody else may look.

    A path that is too long for a socket is replaced by one in the folder for temporary files, always the same for the
    same ``data_dir``, so that a killed service leaves nothing that the next one would not use and remove.
    """
    beside_log = settings.queue_dir.resolve() / "valkey.sock"
    if len(os.fsencode(beside_log)) <= LONGEST_SOCKET_PATH:
        settings.queue_dir.chmod(0o700)
        yield beside_log
        return
    name = hashlib.sha256(os.fsencode(beside_log)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"classifier-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise CannotStart(f"{folder} belongs to somebody else: choose a shorter DATA_DIR")
    folder.chmod(0o700)
    try:
        yield folder / "valkey.sock"
    finally:
        with suppress(OSError):  # Valkey has removed its socket
            folder.rmdir()

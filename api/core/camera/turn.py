"""One at a time: among the greenlets of a process, and among the processes of a machine."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gevent import sleep
from gevent.lock import BoundedSemaphore

from contract.errors import RETRY_LATER_S, BackendDown
from contract.private_files import FILE_MODE, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOK_S = 0.01  # of one greenlet of each process: a blocked flock can't be given up
GIVE_WAY_S = 2 * LOOK_S


class Turn:
    """In a process whoever came first goes first; among processes no one goes twice while another looks.

    Args:
        file: whose lock the kernel gives back when a process dies. It is made when it is first needed.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._here = BoundedSemaphore()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait, for as long as it takes, until nobody else has the turn.

        Raises:
            BackendDown: the file can't be opened.
        """
        with self._here:
            file = self._opened()
            try:
                while not _locked(file):
                    sleep(LOOK_S)
                yield
            finally:
                os.close(file)
            sleep(GIVE_WAY_S)

    def _opened(self) -> int:
        try:
            make_folder(self._file.parent)
            return os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise BackendDown("the camera can't be used at the moment", RETRY_LATER_S, cause=str(error)) from error


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""The inspections in two files, to which any number of processes may append at once; the older goes when both are full.

A line that inspects parts must not stop because a file is full: so the oldest are forgotten, not the newest refused.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from api.inspection.record import Inspection
from contract.errors import RETRY_LATER_S, BackendDown, StoreFull
from contract.file_lock import locked
from contract.private_files import make_folder
from contract.store_room import free_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

BLOCK_BYTES = 64 * 1024
LONGEST_LINE_BYTES = 1024 * 1024  # 1000 objects and 100 expected ones have a third of it
LOCK_WAIT_S = 2.0  # another process holds the lock for one write: microseconds


class InspectionLog:
    """``inspections.jsonl`` in a folder, and ``inspections.1.jsonl``, which are older.

    Args:
        most_bytes: of both files together.
        reserve_bytes: what is left free on the disk.
    """

    def __init__(self, folder: Path, *, most_bytes: int, reserve_bytes: int) -> None:
        self._folder = folder
        self._lock = folder / "inspections.lock"
        self._newer, self._older = folder / "inspections.jsonl", folder / "inspections.1.jsonl"
        self._most_bytes = most_bytes
        self._reserve_bytes = reserve_bytes

    def append(self, inspection: Inspection) -> None:
        """Add one whole line or nothing. Waits up to 2 s for other processes.

        Raises:
            StoreFull: the disk has no room but its reserve.
            BackendDown: the file can't be written; it is as it was before.
        """
        line = inspection.to_line()
        try:
            make_folder(self._folder)
            if free_bytes(self._folder) < self._reserve_bytes:
                raise StoreFull("there is no room for more inspections at the moment", RETRY_LATER_S)
            with locked(self._lock, wait_s=LOCK_WAIT_S), locked(self._newer, wait_s=LOCK_WAIT_S) as file:
                if os.fstat(file).st_size + len(line) <= self._most_bytes // 2:
                    _append_whole(file, line)
                    return
                self._newer.replace(self._older)
                with locked(self._newer, wait_s=LOCK_WAIT_S) as fresh:
                    _append_whole(fresh, line)
        except OSError as error:
            log.exception("inspections can't be written to %s", self._newer)
            raise BackendDown("the inspection could not be stored", RETRY_LATER_S) from error

    def newest_first(self) -> Iterator[Inspection]:
        """Those that are stored at the moment of the first; lines that are none are skipped.

        Raises:
            BackendDown: they can't be read.
        """
        with ExitStack() as opened:
            try:
                files = self._open(opened)
            except OSError as error:
                log.exception("inspections can't be read from %s", self._folder)
                raise BackendDown("the inspections can't be read at the moment", RETRY_LATER_S) from error
            for file, size in files:
                for line in _lines(file, size):
                    with suppress(ValueError, RecursionError):  # the second: brackets in brackets
                        yield Inspection.from_line(line)

    def _open(self, opened: ExitStack) -> list[tuple[int, int]]:
        """The files that there are, the newer first, with their sizes in bytes."""
        found = []
        if not self._folder.is_dir():
            return []
        with locked(self._lock, wait_s=LOCK_WAIT_S):
            for path in (self._newer, self._older):
                with suppress(FileNotFoundError):
                    file = opened.enter_context(path.open("rb")).fileno()
                    found.append((file, os.fstat(file).st_size))
        return found


def _append_whole(file: int, line: bytes) -> None:
    """One write at the end of a locked file, undone if the disk has room for only a part."""
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":  # what a power failure has left is a line of its own
        line = b"\n" + line
    if os.pwrite(file, line, size) < len(line):
        os.ftruncate(file, size)
        raise OSError("no room for the whole line")


def _lines(file: int, size_bytes: int) -> Iterator[bytes]:
    """The lines of a file's first ``size_bytes``, last first, without their line feeds; none that is empty."""
    rest = b""
    for start in range((size_bytes - 1) // BLOCK_BYTES * BLOCK_BYTES, -1, -BLOCK_BYTES):
        block = os.pread(file, min(BLOCK_BYTES, size_bytes - start), start)
        time.sleep(0)  # a long file must not keep this process' other requests waiting
        rest, *lines = (block + rest[:LONGEST_LINE_BYTES]).split(b"\n")
        yield from filter(None, reversed(lines))
    if rest:
        yield rest

"""The log files of ``make run``: one for each part, and together never more than they may be.

The parts append to them directly, so that they go on whatever happens to the supervisor. Nobody can take the file from
a part that has it open: what it holds is copied beside it, and then it is cut to nothing. A line that is written in the
microseconds between the two is lost; the supervisor, which reads nothing of what is written, holds nobody up.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from contract.private_files import FILE_MODE

if TYPE_CHECKING:
    from pathlib import Path

FULL = 1 / 3  # of a part's room: then its log is cut. What came just before the cut has the rest as well.
KEPT = 1 / 2  # of a part's room: the most that is kept of what was cut
CHUNK_BYTES = 1_000_000


class LogFiles:
    """``<part>.log``, and ``<part>.log.1`` with what came before.

    Args:
        folder: where they are; it exists.
        room_bytes: for all of them together. Between two looks a part can write more.
        parts: how many parts share the room.
    """

    def __init__(self, folder: Path, room_bytes: int, parts: int) -> None:
        self._folder = folder
        self._full_bytes = int(room_bytes / parts * FULL)
        self._kept_bytes = int(room_bytes / parts * KEPT)

    def clear(self) -> None:
        """Delete those of the last time, also of parts that there are no more.

        Raises:
            OSError: the folder can't be written.
        """
        for pattern in ("*.log", "*.log.1"):
            for path in self._folder.glob(pattern):
                path.unlink()

    def open(self, part: str) -> IO[bytes]:
        """Open a part's log for appending; others may cut it meanwhile.

        Raises:
            OSError: it can't be written.
        """
        return _private(self._path(part), os.O_APPEND)

    def read(self, part: str) -> str:
        """What is in a part's log; empty if there is none."""
        try:
            return self._path(part).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def cut(self) -> None:
        """Cut those that are full, and keep the end of what they held."""
        for path in self._folder.glob("*.log"):
            with suppress(OSError):  # somebody has just deleted it
                if path.stat().st_size > self._full_bytes:
                    self._cut(path)

    def _cut(self, path: Path) -> None:
        with path.open("rb+") as log:
            try:
                with _private(path.with_name(f"{path.name}.1"), os.O_TRUNC) as kept:
                    self._copy_end(log, kept)
            except OSError as error:  # the disk is full: all the more must the log be cut
                print(f"what {path.name} held can't be kept: {error}", flush=True)
            log.truncate(0)

    def _copy_end(self, log: IO[bytes], kept: IO[bytes]) -> None:
        too_much = log.seek(0, 2) - self._kept_bytes
        log.seek(max(too_much, 0))
        if too_much > 0:
            log.readline(CHUNK_BYTES)  # the rest of a line whose beginning is not kept
        while chunk := log.read(min(CHUNK_BYTES, self._kept_bytes - kept.tell())):  # also what is written meanwhile
            kept.write(chunk)

    def _path(self, part: str) -> Path:
        return self._folder / f"{part}.log"


def _private(path: Path, flag: int) -> IO[bytes]:
    """Open a file for writing that is for its owner alone if it is made."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag, FILE_MODE)
    return open(file, "ab" if flag == os.O_APPEND else "wb")  # noqa: PTH123  a descriptor has no path

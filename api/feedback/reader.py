"""The stored reports, newest first, read from the end of ``feedback.csv``, a part at a time."""

from __future__ import annotations

import csv
import fcntl
import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from api.feedback.log import LOCK_WAIT_S, FeedbackLog, as_written
from contract.errors import RETRY_LATER_S, BackendDown
from contract.file_lock import take_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

BLOCK_BYTES = 64 * 1024
LONGEST_ROW_BYTES = 64 * 1024  # the longest report has 3,200 characters of at most 4 bytes, and quotes are doubled


@dataclass(frozen=True, slots=True)
class StoredReport:
    """One row of the file, all text, as its sender wrote it."""

    time: str
    image: str
    prediction: str
    score: str
    correct_label: str
    comment: str
    model: str
    digest: str

    @property
    def row(self) -> tuple[str, ...]:
        return tuple(getattr(self, column) for column in FeedbackLog.COLUMNS)


@dataclass(frozen=True, slots=True)
class StoredReports:
    """The reports that were in the file at one moment; rows appended later are not read."""

    path: Path
    size_bytes: int

    @classmethod
    def at(cls, path: Path) -> Self:
        """Note the file's current length. No file means no reports.

        Raises:
            BackendDown: the file can't be read, or stays locked.
        """
        try:
            with path.open("rb") as file:
                take_lock(
                    file.fileno(), fcntl.LOCK_SH, wait_s=LOCK_WAIT_S
                )  # so that a row being written is not read by half
                return cls(path, os.fstat(file.fileno()).st_size)
        except FileNotFoundError:
            return cls(path, 0)
        except OSError as error:
            log.exception("reports can't be read from %s", path)
            raise BackendDown("the reports can't be read; please try again later", RETRY_LATER_S) from error

    def newest_first(self) -> Iterator[StoredReport]:
        """Each report, the last of the file first. Rows that are not reports, such as the header, are skipped."""
        unreadable = 0
        for row in _rows(self.path, self.size_bytes):
            values = _values(row)
            if len(values) != len(FeedbackLog.COLUMNS):
                unreadable += 1
            elif values[0] != FeedbackLog.COLUMNS[0]:
                yield StoredReport(*map(as_written, values))
        if unreadable:
            log.warning("%s: %d rows can't be read as reports", self.path, unreadable)


def _rows(path: Path, size_bytes: int) -> Iterator[bytes]:
    """The rows of a CSV file, last first.

    A line end is between rows if the number of quotes after it is even, because it is even up to the file's end.
    """
    row: list[bytes] = []
    quotes = length = 0
    for line in _lines(path, size_bytes):
        row.append(line)
        quotes += line.count(b'"')
        length += len(line)
        if quotes % 2 == 0 or length > LONGEST_ROW_BYTES:  # too long: an editor left an unpaired quote
            if length:
                yield b"\n".join(reversed(row))
            row, quotes, length = [], 0, 0


def _lines(path: Path, size_bytes: int) -> Iterator[bytes]:
    """The lines of a file's first ``size_bytes``, last first, without their line feeds."""
    if size_bytes == 0:
        return
    with path.open("rb") as file:
        rest = b""
        for start in range((size_bytes - 1) // BLOCK_BYTES * BLOCK_BYTES, -1, -BLOCK_BYTES):
            block = os.pread(file.fileno(), min(BLOCK_BYTES, size_bytes - start), start)
            time.sleep(0)  # a long file must not keep this process' other requests waiting
            rest, *lines = (block + rest[:LONGEST_ROW_BYTES]).split(b"\n")
            yield from reversed(lines)
        yield rest


def _values(row: bytes) -> list[str]:
    try:
        return next(csv.reader([row.decode(errors="replace").lstrip("\ufeff")], strict=True), [])
    except csv.Error:
        return []

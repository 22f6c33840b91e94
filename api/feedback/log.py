"""Reports of wrong answers: one checked record, appended as one row to a CSV file."""

from __future__ import annotations

import csv
import errno
import io
import json
import logging
import os
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from api.core.errors import InvalidParameter
from contract.errors import RETRY_LATER_S, BackendDown, StoreFull
from contract.file_lock import locked
from contract.private_files import make_folder
from contract.store_room import free_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)


MAX_CHARACTERS = {
    "image": 256,
    "prediction": 256,
    "score": 32,
    "correct_label": 256,
    "comment": 2000,
    "model": 128,
    "digest": 128,
}
"""The longest text that each field of a report may hold."""

# Cells that start like this are run by Excel, LibreOffice or Google Sheets (OWASP, "CSV Injection"); the full-width
# forms too, in locales whose input method produces them.
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001

# Control characters carry no meaning in a report, and NUL ends the text in many CSV readers.
_UNPRINTABLE = {code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\r"}

_LINE_END = "\r\n"  # RFC 4180; it also makes the csv module quote a lone CR or LF inside a field
LOCK_WAIT_S = 2.0  # another process holds the lock for one write: microseconds


@dataclass(frozen=True, slots=True)
class Report:
    """One person's report that an answer is wrong. All text, none of it trusted, each within ``MAX_CHARACTERS``.

    Attributes:
        image: the picture's name in the image store, as the page gave it.
        prediction: the label that the sender saw.
        score: its probability, as the sender saw it.
        correct_label: what the sender says it is.
        comment: anything else, several lines allowed.
        model: name of the model that answered.
        digest: what identifies its weights, labels and preprocessing.
    """

    image: str = ""
    prediction: str = ""
    score: str = ""
    correct_label: str = ""
    comment: str = ""
    model: str = ""
    digest: str = ""

    @classmethod
    def from_form(cls, form: Mapping[str, str]) -> Self:
        """Read a posted form: the field ``report`` with a JSON object, or the same fields one by one.

        ``filename`` names the picture in both. A ``report`` that is not a JSON object is kept as the comment: a person
        took the trouble to send it.

        Raises:
            InvalidParameter: a field is longer than ``MAX_CHARACTERS`` allows, or is neither text nor a number.
        """
        report = form.get("report")
        values = _parsed(report) if report else form
        return cls(**{field.name: _text(field.name, _value(values, field.name)) for field in fields(cls)})

    @property
    def empty(self) -> bool:
        return not any(value.strip() for value in asdict(self).values())


class FeedbackLog:
    """``feedback.csv`` in a folder that any number of processes may append to at once.

    Columns: ``COLUMNS``, the time in ISO 8601, UTC. Text that a spreadsheet would run gets a leading ``'``, which
    ``as_written`` takes off again; a CSV reader returns everything else unchanged.
    """

    COLUMNS = ("time", *(field.name for field in fields(Report)))

    def __init__(self, folder: Path, *, most_bytes: int, reserve_bytes: int) -> None:
        self.path = folder / "feedback.csv"
        self._most_bytes = most_bytes
        self._reserve_bytes = reserve_bytes

    def append(self, report: Report) -> None:
        """Add one whole row or nothing, with the header before the first. Waits up to 2 s for other writers.

        Raises:
            StoreFull: the file may not grow any more, or the disk has no room but its reserve.
            BackendDown: the disk is full or the file can't be written; it is as it was before.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = csv_row([now, *asdict(report).values()])
        try:
            make_folder(self.path.parent)
            with locked(self.path, wait_s=LOCK_WAIT_S) as file:
                size = os.fstat(file).st_size
                if size + len(row) > self._most_bytes or free_bytes(self.path.parent) < self._reserve_bytes:
                    raise StoreFull("there is no room for more reports at the moment", RETRY_LATER_S)
                if size == 0:
                    row = csv_row(self.COLUMNS) + row
                elif os.pread(file, 1, size - 1) != b"\n":  # saved by an editor that drops the last line end
                    row = _LINE_END.encode() + row
                _write_whole(file, row, size)
        except OSError as error:
            log.exception("feedback can't be written to %s", self.path)
            raise BackendDown("the report could not be stored; please try again later", RETRY_LATER_S) from error


def _parsed(report: str) -> Mapping[str, object]:
    try:
        values = json.loads(report)
    except (ValueError, RecursionError):
        values = None
    return values if isinstance(values, dict) else {"comment": report}


def _value(values: Mapping[str, object], name: str) -> object:
    return values.get("filename", values.get(name)) if name == "image" else values.get(name)


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    spoken = name.replace("_", " ")
    if not isinstance(value, str | int | float):
        raise InvalidParameter(f"the report's {spoken} must be text or a number")
    text = str(value).encode("utf-8", "replace").decode("utf-8").translate(_UNPRINTABLE)
    if len(text) > MAX_CHARACTERS[name]:
        raise InvalidParameter(
            f"the report's {spoken} is {len(text)} characters long; at most {MAX_CHARACTERS[name]} are kept"
        )
    return text


def csv_row(values: Iterable[str]) -> bytes:
    """One line of CSV (RFC 4180, UTF-8), with a leading ``'`` before what a spreadsheet would run."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator=_LINE_END).writerow([_harmless(value) for value in values])
    return line.getvalue().encode()


def as_written(cell: str) -> str:
    """The text of a cell of ``csv_row``, without the ``'`` that keeps spreadsheets from running it."""
    return cell[1:] if cell.startswith("'") and _needs_quote(cell[1:]) else cell


def _harmless(text: str) -> str:
    return f"'{text}" if _needs_quote(text) else text


def _needs_quote(text: str) -> bool:
    """Whether a spreadsheet would run it; or it looks like a text with such a quote, which a reader would take off."""
    return text.lstrip("'").startswith(_RUN_BY_SPREADSHEETS)


def _write_whole(file: int, row: bytes, size: int) -> None:
    """One write at the end of a locked file of ``size`` bytes, undone if the disk has room for only a part."""
    if os.pwrite(file, row, size) < len(row):
        os.ftruncate(file, size)
        raise OSError(errno.ENOSPC, "no room for the whole row")

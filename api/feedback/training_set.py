"""Reported pictures as a zip with a folder for each correct label, the layout of torchvision's ``ImageFolder``."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from io import RawIOBase
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from api.feedback.log import FeedbackLog, csv_row
from contract.errors import PictureNotFound
from contract.image_header import media_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer

    from api.feedback.filter import ReportFilter
    from api.feedback.pictures import ReportedPictures
    from api.feedback.reader import StoredReport, StoredReports

MANIFEST = "reports.csv"
NO_LABEL = "left out: no correct label"
NO_PICTURE = "left out: the picture is gone or can't be read"
OUTVOTED = "left out: a later report names another label for this picture"

CHUNK_BYTES = 64 * 1024
_LONGEST_FOLDER_BYTES = 120  # file systems take 255
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])", re.IGNORECASE)  # devices, on Windows


def training_set(reports: StoredReports, wanted: ReportFilter, pictures: ReportedPictures) -> Iterator[bytes]:
    """The zip, in pieces, created while it is read: one picture is in memory at a time.

    Each picture is in it once, as ``<label>/<SHA-256>.<ext>``, under the label of its latest report. ``MANIFEST`` lists
    every report that ``wanted`` matches, with the picture's place in the zip, or why it has none.
    """
    outbox = _Outbox()
    now = datetime.now(UTC).timetuple()[:6]
    places: dict[bytes, str] = {}
    with ZipFile(outbox, "w") as archive:
        for report in _matching(reports, wanted):
            if not report.correct_label.strip() or _digest(report) in places:
                continue
            try:
                picture = pictures.read(report.image)
            except (PictureNotFound, OSError):
                continue
            place = f"{folder_name(report.correct_label)}/{report.image}.{_ending(picture)}"
            archive.writestr(ZipInfo(place, now), picture, ZIP_STORED)  # pictures are compressed already
            places[_digest(report)] = place
            yield outbox.take()
        manifest = ZipInfo(MANIFEST, now)
        manifest.compress_type = ZIP_DEFLATED
        with archive.open(manifest, "w", force_zip64=True) as file:  # its size is not known before
            file.write(csv_row([*FeedbackLog.COLUMNS, "file", "note"]))
            for report in _matching(reports, wanted):
                file.write(csv_row([*report.row, *_fate(report, places)]))
                if outbox.size_bytes >= CHUNK_BYTES:
                    yield outbox.take()
    yield outbox.take()


def folder_name(label: str) -> str:
    """A name for a label's folder, safe on any file system whatever the label contains.

    Letters, digits, ``-`` and ``'`` stay; all else becomes ``_``, as in the model's own labels ("tiger cat" is
    ``tiger_cat``). Labels that differ only in such characters share a folder.
    """
    kept = "".join(
        character if unicodedata.category(character)[0] in "LMN" or character in "-'" else "_"
        for character in unicodedata.normalize("NFKC", label)
    )
    name = re.sub("_+", "_", kept).encode()[:_LONGEST_FOLDER_BYTES].decode(errors="ignore").strip("_-'")
    return f"{name}_" if _RESERVED.fullmatch(name) else name or "unnamed"


def _matching(reports: StoredReports, wanted: ReportFilter) -> Iterator[StoredReport]:
    return (report for report in reports.newest_first() if wanted.matches(report))


def _fate(report: StoredReport, places: dict[bytes, str]) -> tuple[str, str]:
    """The picture's place in the zip, and a note if it has none."""
    if not report.correct_label.strip():
        return "", NO_LABEL
    place = places.get(_digest(report))
    if place is None:
        return "", NO_PICTURE
    return (place, "") if place.startswith(f"{folder_name(report.correct_label)}/") else ("", OUTVOTED)


def _digest(report: StoredReport) -> bytes:
    """The picture's name in half the memory; empty for anything that is not a picture's name."""
    return bytes.fromhex(report.image) if re.fullmatch("[0-9a-f]{64}", report.image) else b""


def _ending(picture: bytes) -> str:
    kind = (media_type(picture) or "image/bin").removeprefix("image/")
    return {"jpeg": "jpg"}.get(kind, kind)


class _Outbox(RawIOBase):
    """What the zip's writer has written since the last ``take``. It can't seek, so the writer never goes back."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self.size_bytes = 0

    def write(self, data: ReadableBuffer, /) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self.size_bytes += len(piece)
        return len(piece)

    def take(self) -> bytes:
        taken, self._pieces, self.size_bytes = b"".join(self._pieces), [], 0
        return taken

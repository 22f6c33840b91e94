"""``/admin/feedback``: the reports as a page, as CSV, and as a set of labelled pictures to train with."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from flask import Blueprint, Response, make_response, render_template, request, url_for
from pydantic import Field

from api.admin.report_filter import PARAMETERS, ReportFilter
from api.admin.training_set import training_set
from api.bodies import PictureName
from api.errors import BackendDown, InvalidParameter, NoSuchPicture
from api.feedback import FeedbackLog, csv_row
from api.reference.operation import CSV, HTML, ZIP, Answer, Content, Header, Operation, Parameter, documented
from api.reports import StoredReport, StoredReports
from api.services import Services
from api.upload import media_type
from contract.errors import PictureNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.typing import ResponseReturnValue

bp = Blueprint("feedback", __name__)

PAGE_REPORTS = 20
LAST_PAGE = 1_000_000
CHUNK_BYTES = 64 * 1024

DOWNLOAD = {
    "Content-Disposition": Header("A name for the file.", example="attachment; filename=feedback-2026-01-31.csv")
}
PAGE = Parameter("page", "query", Annotated[int, Field(ge=1, le=LAST_PAGE)], "Counts from 1.", 1)


@bp.get("/feedback")
@documented(
    Operation(
        tag="Administration",
        parameters=[*PARAMETERS, PAGE],
        answers={200: Answer("The page.", {HTML: Content()})},
        raises=[InvalidParameter, BackendDown],
        admin=True,
        errors_as_pages=True,
    )
)
def show() -> ResponseReturnValue:
    """A page of reports, newest first."""
    wanted, number = ReportFilter.from_query(request.args), _page_number()
    first = (number - 1) * PAGE_REPORTS
    found = list(islice(_reports(wanted), first, first + PAGE_REPORTS + 1))
    return render_template(
        "admin/feedback.html",
        query=wanted.query,
        reports=[_shown(report) for report in found[:PAGE_REPORTS]],
        number=number,
        first=first + 1,
        more=len(found) > PAGE_REPORTS,
    )


@bp.get("/feedback.csv")
@documented(
    Operation(
        tag="Administration",
        parameters=PARAMETERS,
        answers={200: Answer("The table.", {CSV: Content()}, DOWNLOAD)},
        raises=[InvalidParameter, BackendDown],
        admin=True,
        errors_as_pages=True,
    )
)
def download_csv() -> ResponseReturnValue:
    """The reports that the filter lets through, newest first, in the columns of ``feedback.csv``."""
    reports = _reports(ReportFilter.from_query(request.args))
    return _download(_in_chunks(_csv_rows(reports)), "text/csv; charset=utf-8", "csv")


@bp.get("/feedback.zip")
@documented(
    Operation(
        tag="Administration",
        parameters=PARAMETERS,
        answers={200: Answer("The archive, made while it is sent.", {ZIP: Content(bytes)}, DOWNLOAD)},
        raises=[InvalidParameter, BackendDown],
        admin=True,
        errors_as_pages=True,
    )
)
def download_training_set() -> ResponseReturnValue:
    """The reported pictures in a folder for each correct label, and all that the filter lets through in a manifest."""
    services = Services.current()
    wanted = ReportFilter.from_query(request.args)
    reports = StoredReports.at(services.feedback.path)
    return _download(training_set(reports, wanted, services.reported), "application/zip", "zip")


@bp.get("/feedback/pictures/<name>")
@documented(
    Operation(
        tag="Administration",
        parameters=[Parameter("name", "path", PictureName, "The picture's name, as the reports give it.")],
        answers={
            200: Answer("The picture.", {"image/*": Content(bytes), "application/octet-stream": Content(bytes)}),
        },
        raises=[NoSuchPicture],
        admin=True,
        errors_as_pages=True,
    )
)
def picture(name: str) -> ResponseReturnValue:
    """A kept picture, when the upload folder has forgotten it.

    Raises:
        NoSuchPicture: none has this name.
    """
    try:
        found = Services.current().reported.read(name)
    except (PictureNotFound, ValueError) as error:
        raise NoSuchPicture("there is no such picture here") from error
    response = make_response(found)
    response.content_type = media_type(found) or "application/octet-stream"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"  # never run as a page
    return response


def _reports(wanted: ReportFilter) -> Iterator[StoredReport]:
    stored = StoredReports.at(Services.current().feedback.path)
    return (report for report in stored.newest_first() if wanted.matches(report))


def _page_number() -> int:
    text = request.args.get("page", "1")
    if not re.fullmatch("[0-9]{1,7}", text) or not 1 <= int(text) <= LAST_PAGE:
        raise InvalidParameter(f"page must be a whole number from 1 to {LAST_PAGE}")
    return int(text)


def _shown(report: StoredReport) -> dict[str, Any]:
    return asdict(report) | {
        "prediction": report.prediction.replace("_", " "),
        "correct_label": report.correct_label.replace("_", " "),
        "score": _percent(report.score),
        "said_at": report.time[:16].replace("T", " "),
        "picture": _address(report.image),
    }


def _percent(score: str) -> str:
    """A probability in percent; anything else as it is."""
    return f"{float(score):.1%}" if re.fullmatch(r"(0?\.\d{1,20}|0|1(\.0{1,20})?)", score) else score


def _address(name: str) -> str | None:
    """Where the picture can be seen, or None where it is gone."""
    services = Services.current()
    if name in services.store:
        return url_for("pages.display", name=name)
    return url_for("admin.feedback.picture", name=name) if name in services.reported else None


def _csv_rows(reports: Iterator[StoredReport]) -> Iterator[bytes]:
    yield csv_row(FeedbackLog.COLUMNS)
    for report in reports:
        yield csv_row(report.row)


def _in_chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of about ``CHUNK_BYTES``: each piece is a write to the connection."""
    chunk = bytearray()
    for piece in pieces:
        chunk += piece
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk)


def _download(content: Iterator[bytes], content_type: str, ending: str) -> Response:
    response = Response(content, content_type=content_type)
    name = f"feedback-{datetime.now(UTC):%Y-%m-%d}.{ending}"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response

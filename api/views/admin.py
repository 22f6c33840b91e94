"""``/admin``: the reports as a page, as CSV, and as a set of labelled pictures to train with.

The operator's pages need a key with the scope ``admin``, and are never stored by a browser or proxy.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, render_template, request

from api.feedback.filter import ReportFilter
from api.feedback.log import FeedbackLog, csv_row
from api.feedback.reader import StoredReport, StoredReports
from api.feedback.training_set import training_set
from api.http.html import answer_as_page
from api.http.parameters import page_number
from api.http.picture_address import address_for_operator
from api.http.stored_picture import picture_response
from api.services import Services
from api.views import candidate_checks, model_changes, models_page, usage
from contract.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.typing import ResponseReturnValue

bp = Blueprint("admin", __name__, url_prefix="/admin")
bp.register_blueprint(usage.bp)
bp.register_blueprint(model_changes.bp)
bp.register_blueprint(models_page.bp)
bp.register_blueprint(candidate_checks.bp)

PAGE_REPORTS = 20
CHUNK_BYTES = 64 * 1024


@bp.after_request
def _keep_nowhere(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


bp.register_error_handler(ServiceError, answer_as_page)


@bp.get("/feedback")
def show_feedback() -> ResponseReturnValue:
    """A page of reports, newest first."""
    wanted, number = ReportFilter.from_query(request.args), page_number(request)
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
def download_csv() -> ResponseReturnValue:
    """The reports that the filter matches, newest first, in the columns of ``feedback.csv``."""
    reports = _reports(ReportFilter.from_query(request.args))
    return _download(_in_chunks(_csv_rows(reports)), "text/csv; charset=utf-8", "csv")


@bp.get("/feedback.zip")
def download_training_set() -> ResponseReturnValue:
    """The reported pictures in a folder for each correct label, and a list of all reports that the filter matches."""
    services = Services.current()
    wanted = ReportFilter.from_query(request.args)
    reports = StoredReports.at(services.feedback.path)
    return _download(training_set(reports, wanted, services.reported), "application/zip", "zip")


@bp.get("/feedback/pictures/<name>")
def picture(name: str) -> ResponseReturnValue:
    """A kept picture, even when the upload folder has deleted it.

    Raises:
        PictureNotFound: no picture has this name.
    """
    return picture_response(Services.current().reported.open(name))


def _reports(wanted: ReportFilter) -> Iterator[StoredReport]:
    stored = StoredReports.at(Services.current().feedback.path)
    return (report for report in stored.newest_first() if wanted.matches(report))


def _shown(report: StoredReport) -> dict[str, Any]:
    return asdict(report) | {
        "prediction": report.prediction.replace("_", " "),
        "correct_label": report.correct_label.replace("_", " "),
        "score": _percent(report.score),
        "said_at": report.time[:16].replace("T", " "),
        "picture": address_for_operator(report.image),
    }


def _percent(score: str) -> str:
    """A probability in percent; anything else as it is."""
    return f"{float(score):.1%}" if re.fullmatch(r"(0?\.\d{1,20}|0|1(\.0{1,20})?)", score) else score


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

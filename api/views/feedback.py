"""``/feedback``: a person, or a script, reports that an answer is wrong. It works without JavaScript."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, jsonify, render_template, request
from werkzeug.exceptions import RequestEntityTooLarge

from api.core.errors import AccessRefused, OverLimit
from api.feedback.log import MAX_CHARACTERS, Report
from api.http.caller import current_caller, current_client
from api.http.html import answer_as_page, in_words, prefers_json
from api.services import Services
from api.views.pages import upload_page
from contract.errors import ServiceError
from contract.model_version import WantedModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask.typing import ResponseReturnValue

    from api.http.schemas import FeedbackTaken

bp = Blueprint("feedback", __name__)
bp.register_error_handler(AccessRefused, answer_as_page)
bp.register_error_handler(OverLimit, answer_as_page)

THANKS = "Thank you. Your report is stored."
NOTHING_TO_STORE = "The report was empty, so nothing was stored."


@bp.get("/feedback")
def show() -> ResponseReturnValue:
    """The form for a report."""
    return _form({})


@bp.post("/feedback")
def send() -> ResponseReturnValue:
    """Store one report and show the page again; an empty one stores nothing.

    Raises:
        InvalidParameter, OverShare, StoreFull, BackendDown, RequestEntityTooLarge: for a client that prefers JSON; a
            person gets the form back as it was typed, with the error as a sentence and the same status. A form that is
            too large comes back empty.
    """
    if prefers_json():
        taken: FeedbackTaken = {"stored": _stored()}
        return jsonify(taken)
    try:
        return upload_page(notice=THANKS if _stored() else NOTHING_TO_STORE)
    except ServiceError as error:
        return in_words(error, _form(request.form, error=str(error)))
    except RequestEntityTooLarge:
        return _form({}, error="the report is too large"), HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def _stored() -> bool:
    report = Report.from_form(request.form)
    if report.empty:
        return False
    services = Services.current()
    services.feedback_rate.count(current_client().sender)
    known = services.labels.of_or_none(_model_named(report.model))
    if known is not None:
        report = replace(report, correct_label=known.meant_by(report.correct_label))
    services.reported.keep(report.image)  # first: a crash in between must not cost a report its picture
    services.feedback.append(report)
    return True


def _form(typed: Mapping[str, str], **shown: Any) -> str:
    services = Services.current()
    may_know = not services.keyring.shut or current_caller().key is not None  # as of /labels; the page is open to all
    known = services.labels.of_or_none(_model_named(typed.get("model", ""))) if may_know else None
    return render_template(
        "feedback.html", settings=services.settings, typed=typed, limits=MAX_CHARACTERS, known=known, **shown
    )


def _model_named(text: str) -> WantedModel | None:
    """The model that a report says has answered; None, the default one, if it says nothing that can be a model."""
    try:
        return WantedModel.parse(text)
    except ValueError:
        return None

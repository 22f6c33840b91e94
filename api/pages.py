"""What a person sees: the upload page, the stored pictures, the feedback form and its list of labels.

All of it works without JavaScript.
"""

from __future__ import annotations

import time
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, g, jsonify, make_response, render_template, request
from werkzeug.exceptions import RequestEntityTooLarge

from api.answer_headers import ANSWER_HEADERS, describe
from api.bodies import FeedbackForm, FeedbackTaken, Labels, OnePictureForm, PictureName, Shown
from api.errors import (
    ApiError,
    BackendDown,
    BrokenForm,
    DeadlineExceeded,
    InvalidParameter,
    InvalidUpload,
    NoSuchPicture,
    NoWorker,
    TemporarilyUnavailable,
    WorkerFault,
)
from api.feedback import MAX_CHARACTERS, Report
from api.problems import answer_api_error
from api.reference.operation import HTML, JSON, Answer, Content, Header, Operation, Parameter, documented
from api.services import Services
from api.upload import Upload, media_type
from contract.errors import PictureNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Response
    from flask.typing import ResponseReturnValue

    from api.gateway import Answer as Classified
    from api.labels import LabelList

bp = Blueprint("pages", __name__)

THANKS = "Thank you. Your report is stored."
NOTHING_TO_STORE = "The report was empty, so nothing was stored."

_YEAR_S = 31_536_000

PAGE = {HTML: Content()}
SEEN: Shown = {
    "image": "9f" * 32,
    "model": "resnet50",
    "digest": "3bb5c3a91d2e" + 52 * "0",
    "predictions": [{"label": "Egyptian_cat", "score": 0.7587}, {"label": "tabby", "score": 0.1212}],
    "cache": "miss",
    "elapsed_ms": 26.7,
}
KNOWN: Labels = {"model": "resnet50", "digest": SEEN["digest"], "labels": ("tench", "goldfish", "great_white_shark")}
TAKEN: FeedbackTaken = {"stored": True}


@bp.get("/")
@documented(Operation(tag="Pages", answers={200: Answer("The page.", PAGE)}))
def show() -> ResponseReturnValue:
    """The upload page."""
    return _page()


@bp.post("/")
@documented(
    Operation(
        tag="Pages",
        form=OnePictureForm,
        answers={200: Answer("The labels.", {JSON: Content(Shown, SEEN), **PAGE}, ANSWER_HEADERS)},
        raises=[InvalidUpload, RequestEntityTooLarge, TemporarilyUnavailable, DeadlineExceeded, WorkerFault],
        errors_as_pages=True,
    )
)
def classify() -> ResponseReturnValue:
    """Classify one uploaded picture: the page again with its labels, or JSON for a script.

    Raises:
        ApiError: as ``Upload.from_request`` and ``Gateway.classify`` do, for a client that prefers JSON; a person
            gets the page with the error in words and the same status.
    """
    if _prefers_json():
        answer = _classify()
        return describe(jsonify(_shown(answer)), answer)
    try:
        answer = _classify()
        return describe(make_response(_page(result=_shown(answer))), answer)
    except ApiError as error:
        return _in_words(error, _page(error=str(error)))
    except RequestEntityTooLarge:
        return _page(error="the file is too large"), HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@bp.get("/display/<name>")
@documented(
    Operation(
        tag="Pages",
        parameters=[Parameter("name", "path", PictureName, "The picture's name, as the page's answer gives it.")],
        answers={
            200: Answer(
                "The picture, byte for byte.",
                {"image/*": Content(bytes), "application/octet-stream": Content(bytes)},
                {"ETag": Header("The picture's name.", example=f'"{SEEN["image"]}"')},
            ),
            304: Answer("The client has it already."),
        },
        raises=[NoSuchPicture],
    )
)
def display(name: str) -> ResponseReturnValue:
    """The stored picture called ``name``, 64 hex digits.

    Raises:
        NoSuchPicture: none is stored under this name, or it can't be a picture's name.
    """
    try:
        picture = Services.current().store.read(name)
    except (PictureNotFound, ValueError) as error:
        raise NoSuchPicture("there is no such picture here; it may have been removed since") from error
    response = make_response(picture)
    response.content_type = media_type(picture) or "application/octet-stream"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"  # never run as a page
    # The name is the content's hash, so it never changes; private, as somebody's photo is not for shared caches.
    response.headers["Cache-Control"] = f"private, max-age={_YEAR_S}, immutable"
    response.set_etag(name)
    return response.make_conditional(request)


@bp.get("/labels")
@documented(
    Operation(
        tag="Classification",
        answers={
            200: Answer(
                "The labels.",
                {JSON: Content(Labels, KNOWN)},
                {"ETag": Header("The model's digest.", example=f'"{SEEN["digest"]}"')},
            ),
            304: Answer("The client has them already."),
        },
        raises=[NoWorker, BackendDown],
    )
)
def labels() -> ResponseReturnValue:
    """The model's labels by class index, for whoever lets a person choose one; named by the model's digest.

    Raises:
        NoWorker, BackendDown: as ``LabelBook.current`` does.
    """
    known = Services.current().labels.current()
    body: Labels = {"model": known.model, "digest": known.digest, "labels": known.labels}
    response = jsonify(body)
    # The address is the same for every model, so it is asked for anew each time, and answered in one line.
    response.headers["Cache-Control"] = "no-cache"
    response.set_etag(known.digest)
    return response.make_conditional(request)


@bp.get("/feedback")
@documented(Operation(tag="Feedback", answers={200: Answer("The page.", PAGE)}))
def show_feedback() -> ResponseReturnValue:
    """The form for a report."""
    return _feedback_form({})


@bp.post("/feedback")
@documented(
    Operation(
        tag="Feedback",
        form=FeedbackForm,
        body_required=False,
        answers={200: Answer("It was read.", {JSON: Content(FeedbackTaken, TAKEN), **PAGE})},
        raises=[InvalidParameter, BrokenForm, BackendDown, RequestEntityTooLarge],
        errors_as_pages=True,
    )
)
def send_feedback() -> ResponseReturnValue:
    """Store one report and show the page again; an empty one stores nothing.

    Raises:
        InvalidParameter, BackendDown, RequestEntityTooLarge: for a client that prefers JSON; a person gets the form
            back as it was typed, with the error in words and the same status. What is too large comes back empty.
    """
    if _prefers_json():
        taken: FeedbackTaken = {"stored": _stored()}
        return jsonify(taken)
    try:
        return _page(notice=THANKS if _stored() else NOTHING_TO_STORE)
    except ApiError as error:
        return _in_words(error, _feedback_form(request.form, error=str(error)))
    except RequestEntityTooLarge:
        return _feedback_form({}, error="the report is too large"), HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def _classify() -> Classified:
    services = Services.current()
    services.gateway.admit()
    return services.gateway.classify(Upload.from_request(request, services.settings))


def _shown(answer: Classified) -> Shown:
    """What the page says of an answer; ``elapsed_ms`` runs from the request's first line."""
    top_k = Services.current().settings.top_k
    found = answer.classification
    return {
        "image": answer.picture,
        "model": found.model,
        "digest": found.digest,
        "predictions": [{"label": entry.label, "score": round(entry.score, 4)} for entry in found.labels[:top_k]],
        "cache": answer.cache,
        "elapsed_ms": round((time.perf_counter() - g.started) * 1000, 1),
    }


def _stored() -> bool:
    report = Report.from_form(request.form)
    if report.empty:
        return False
    services = Services.current()
    known = _known_labels()
    if known is not None:
        report = replace(report, correct_label=known.meant_by(report.correct_label))
    services.reported.keep(report.image)  # first: a crash in between must not cost a report its picture
    services.feedback.append(report)
    return True


def _known_labels() -> LabelList | None:
    """The model's labels, or None: no page and no report waits for a worker to name them."""
    try:
        return Services.current().labels.current()
    except TemporarilyUnavailable:
        return None


def _page(**shown: Any) -> str:
    settings = Services.current().settings
    known = _known_labels() if "result" in shown else None
    return render_template("index.html", settings=settings, limits=MAX_CHARACTERS, known=known, **shown)


def _feedback_form(typed: Mapping[str, str], **shown: Any) -> str:
    return render_template("feedback.html", typed=typed, limits=MAX_CHARACTERS, known=_known_labels(), **shown)


def _in_words(error: ApiError, page: str) -> Response:
    """What a program gets for this error, with a page for a person in place of the problem document."""
    response = answer_api_error(error)
    response.set_data(page)
    response.content_type = "text/html; charset=utf-8"
    return response


def _prefers_json() -> bool:
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"

"""The pages for people: the upload page and the stored pictures. They work without JavaScript."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, jsonify, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import RequestEntityTooLarge

from api.core.errors import AccessRefused, LinkExpired, LinkNeeded, MissingFile, OverLimit
from api.core.inference import Asked
from api.core.models import ModelNames
from api.feedback.log import MAX_CHARACTERS
from api.http.caller import current_caller, current_client
from api.http.html import answer_as_page, in_words, prefers_json
from api.http.parameters import SCORE_DECIMALS, Wanted, model_in_query
from api.http.picture_address import address_of, good_for, may_delete
from api.http.problems import detail_of
from api.http.response_headers import describe, elapsed_ms
from api.http.stored_picture import picture_response
from api.http.upload import Upload
from api.services import Services
from contract.errors import BackendDown, PictureNotFound, ServiceError
from contract.image_store import NAME, NOT_FOUND
from contract.messages import ClassifyJob
from contract.model_task import ModelTask
from contract.model_version import WantedModel

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from api.core.inference import Answer
    from api.http.schemas import Shown
    from contract.messages import Classification

bp = Blueprint("pages", __name__)
for refusal in (AccessRefused, LinkNeeded, LinkExpired, OverLimit):
    bp.register_error_handler(refusal, answer_as_page)

LABELS_SHOWN = 5
NO_CHOICE = ModelNames([], None)
MESSAGES = {"missing-file": "There was no picture in that form. Choose one, then classify it."}
"""What the page may be asked to show, by the code in its address: no text of a stranger gets onto it."""


@bp.get("/")
def show() -> ResponseReturnValue:
    """The upload page; ``message`` in the query is one of ``MESSAGES``, and any other is ignored."""
    return upload_page(error=MESSAGES.get(request.args.get("message", "")))


@bp.post("/")
def classify() -> ResponseReturnValue:
    """Classify one uploaded picture: the page again with its labels, or JSON for a script.

    A person who sent no picture is redirected to the page, because reloading a form's answer would send the form again.

    Raises:
        ServiceError: as ``Upload.from_request`` and ``Inference.infer`` do, for a client that prefers JSON; a
            person gets the page with the error as a sentence and the same status.
    """
    if prefers_json():
        answer, animated = _classify()
        return describe(jsonify(_shown(answer, animated=animated)), answer)
    try:
        answer, animated = _classify()
        return describe(make_response(upload_page(result=_shown(answer, animated=animated))), answer)
    except MissingFile as error:
        led = redirect(url_for("pages.show", message="missing-file"), HTTPStatus.SEE_OTHER)
        led.headers["X-Error"] = str(error)  # for a terminal
        return led
    except ServiceError as error:
        return in_words(error, upload_page(error=str(error)))
    except RequestEntityTooLarge as error:
        return upload_page(error=detail_of(error)), HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@bp.get("/display/<name>")
def display(name: str) -> ResponseReturnValue:
    """A clean copy of the stored picture called ``name``, 64 hex digits, for who has a link to it.

    Raises:
        LinkNeeded, LinkExpired: the address is no link, or no longer.
        PictureNotFound: no picture is stored under this name, or it can't be a picture's name.
        ServiceError: as ``ShownPictures.open`` does.
    """
    good_for_s = good_for(name)
    response = picture_response(Services.current().shown.open(name, current_client()), name=f"{name}-copy")
    # Private, because a person's photo is not for shared caches; and kept for no longer than the link is good.
    kept = "no-cache" if good_for_s is None else f"max-age={good_for_s}"
    response.headers["Cache-Control"] = f"private, {kept}"
    return response


@bp.delete("/display/<name>")
def delete(name: str) -> ResponseReturnValue:
    """Delete a picture and all that is kept of it, for who has a link to it, or for an operator.

    Raises:
        LinkNeeded, LinkExpired: the address is no link, or no longer.
        PictureNotFound: it can't be a picture's name.
        BackendDown: Redis or the disk fails.
        NoWorker: stored answers may be left.
    """
    may_delete(name)
    if not NAME.fullmatch(name):
        raise PictureNotFound(NOT_FOUND)
    Services.current().deletion.delete(name)
    return "", HTTPStatus.NO_CONTENT


def upload_page(**shown: Any) -> str:
    """The page showing ``result``, ``error`` or ``notice``."""
    services = Services.current()
    known = services.labels.of_or_none(_answered_by(shown)) if "result" in shown else None
    models = _choice(services)
    return render_template(
        "index.html",
        settings=services.settings,
        limits=MAX_CHARACTERS,
        known=known,
        models=models.all,
        chosen_model=_chosen(models, shown),
        **shown,
    )


def _answered_by(shown: dict[str, Any]) -> WantedModel:
    return WantedModel(shown["result"]["model"], shown["result"]["version"])


def _choice(services: Services) -> ModelNames:
    """The classifiers to choose from, told to whoever may ask /v1/models."""
    if services.keyring.shut and current_caller().key is None:
        return NO_CHOICE
    try:
        return services.models.names(ModelTask.CLASSIFICATION)
    except BackendDown:
        return NO_CHOICE


def _chosen(models: ModelNames, shown: dict[str, Any]) -> str | None:
    """The default, or beside a result the one that was asked for: a plain form would forget it with each picture."""
    asked = request.form.get("model") if "result" in shown else None
    return asked if asked in models.all else models.default


def _classify() -> tuple[Answer[Classification], bool]:
    """The answer, and whether it is that of an animated GIF's first frame."""
    services = Services.current()
    services.inference.admit(ModelTask.CLASSIFICATION, model_in_query(request))
    wanted = Wanted.from_request(request, services.settings)
    upload = Upload.from_request(request, services.settings)
    asked = Asked(ClassifyJob, wanted.model)
    return services.inference.infer(upload.data, current_client(), asked), upload.animated


def _shown(answer: Answer[Classification], *, animated: bool) -> Shown:
    """An answer as the page shows it; ``elapsed_ms`` is counted from the request's first line."""
    found = answer.found
    best = found.labels[:LABELS_SHOWN]
    body: Shown = {
        "image": answer.picture,
        "display": address_of(answer.picture),
        "model": found.model,
        "version": found.version,
        "digest": found.digest,
        "predictions": [{"label": entry.label, "score": round(entry.score, SCORE_DECIMALS)} for entry in best],
        "cache": answer.cache,
        "elapsed_ms": round(elapsed_ms(), 1),
    }
    if animated:
        body["first_frame_only"] = True
    return body

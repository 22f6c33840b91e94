"""The pages for people: the upload page and the stored pictures. They work without JavaScript."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, jsonify, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import RequestEntityTooLarge

from api.core.errors import AccessRefused, LinkExpired, LinkNeeded, MissingFile, OverLimit
from api.core.inference import Answer, Asked
from api.core.models import ModelNames
from api.feedback.log import MAX_CHARACTERS
from api.http.caller import current_caller, current_client
from api.http.html import answer_as_page, in_words, prefers_json
from api.http.parameters import Wanted, model_in_query
from api.http.picture_address import good_for, may_delete
from api.http.problems import detail_of
from api.http.response_headers import describe
from api.http.shown_answer import Sight, shown_labels, shown_objects
from api.http.stored_picture import picture_response
from api.http.upload import Upload
from api.services import Services
from contract.errors import BackendDown, PictureNotFound, ServiceError
from contract.image_store import NAME, NOT_FOUND
from contract.messages import Classification, ClassifyJob, Detection, DetectJob
from contract.model_task import ModelTask
from contract.model_version import WantedModel

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from api.http.schemas import Shown, ShownObjects

bp = Blueprint("pages", __name__)
for refusal in (AccessRefused, LinkNeeded, LinkExpired, OverLimit):
    bp.register_error_handler(refusal, answer_as_page)

NO_CHOICE = ModelNames([], None)
MESSAGES = {"missing-file": "There was no picture in that form. Choose one, then send it."}
"""What the page may be asked to show, by the code in its address: no text of a stranger gets onto it."""


@bp.get("/")
def show() -> ResponseReturnValue:
    """The upload page; ``message`` in the query is one of ``MESSAGES``, and any other is ignored."""
    return upload_page(error=MESSAGES.get(request.args.get("message", "")))


@bp.post("/")
def classify() -> ResponseReturnValue:
    """Answer one uploaded picture: the page again with its labels or objects, or JSON for a script.

    A person who sent no picture is redirected to the page, because reloading a form's answer would send the form again.

    Raises:
        ServiceError: as ``Upload.from_request``, ``Inference.task`` and ``Inference.infer`` do, for a client that
            prefers JSON; a person gets the page with the error as a sentence and the same status.
    """
    if prefers_json():
        answer, shown = _answered()
        return describe(jsonify(shown), answer)
    try:
        answer, shown = _answered()
        return describe(make_response(upload_page(result=shown)), answer)
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
        detectors=models.detectors,
        sight=Sight.of(shown.get("result")),
        chosen_model=_chosen(models, shown),
        **shown,
    )


def _answered_by(shown: dict[str, Any]) -> WantedModel:
    return WantedModel(shown["result"]["model"], shown["result"]["version"])


def _choice(services: Services) -> ModelNames:
    """The models to choose from, told to whoever may ask /v1/models."""
    if services.keyring.shut and current_caller().key is None:
        return NO_CHOICE
    try:
        return services.models.names()
    except BackendDown:
        return NO_CHOICE


def _chosen(models: ModelNames, shown: dict[str, Any]) -> str | None:
    """The default, or beside a result the one that was asked for: a plain form would forget it with each picture."""
    asked = request.form.get("model") if "result" in shown else None
    return asked if asked in models.all else models.default


def _answered() -> tuple[Answer[Classification] | Answer[Detection], Shown | ShownObjects]:
    """The answer, and what the page shows of it."""
    services = Services.current()
    named = model_in_query(request)
    services.inference.admit(services.inference.task(named) if named is not None else None, named)
    model = Wanted.from_request(request, services.settings).model
    upload = Upload.from_request(request, services.settings)
    if services.inference.task(model) is ModelTask.DETECTION:
        objects = services.inference.infer(upload.taken(), current_client(), Asked(DetectJob, model))
        return objects, shown_objects(objects, services.labels, animated=upload.animated)
    labels = services.inference.infer(upload.taken(), current_client(), Asked(ClassifyJob, model))
    return labels, shown_labels(labels, animated=upload.animated)

"""``POST /infer`` and ``POST /infer/batch``: the best labels of one picture, or of each of several, for programs.

And ``GET /labels``: all labels of the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, request

from api.core.errors import ClientGone, InvalidUpload, TooManyPictures, without_frames
from api.core.inference import Answer
from api.http.caller import current_client
from api.http.parameters import Wanted, inferred, model_in_query
from api.http.response_headers import describe, elapsed_ms
from api.http.upload import Upload, files_of
from api.services import Services
from contract.errors import DeadlineExceeded, ServiceError, TemporarilyUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flask.typing import ResponseReturnValue
    from werkzeug.datastructures import FileStorage

    from api.http.schemas import BatchResult, InferredBatch, Labels
    from api.settings import Settings

bp = Blueprint("infer", __name__)

PASSING = (TemporarilyUnavailable, DeadlineExceeded, ClientGone)


@bp.post("/infer")
def infer() -> ResponseReturnValue:
    """Classify one uploaded picture.

    Raises:
        ServiceError, RequestEntityTooLarge: as ``Wanted``, ``Upload.from_request`` and ``Inference.classify`` do.
    """
    services = Services.current()
    services.inference.admit(model_in_query(request))
    wanted = Wanted.from_request(request, services.settings)
    upload = Upload.from_request(request, services.settings)
    answer = services.inference.classify(upload.data, current_client(), model=wanted.model, strict=wanted.strict)
    return describe(jsonify(inferred(answer.classification, wanted, animated=upload.animated)), answer)


@bp.post("/infer/batch")
def infer_batch() -> ResponseReturnValue:
    """Classify several uploaded pictures side by side; a picture without an answer says why in its ``error``.

    Raises:
        MissingFile, TooManyPictures, InvalidParameter, BrokenForm, RequestEntityTooLarge: the whole request is at
            fault.
        TemporarilyUnavailable, DeadlineExceeded: no picture has an answer, for at least one of them only temporarily,
            so that sending the batch again may help.
    """
    services = Services.current()
    services.inference.admit(model_in_query(request))
    wanted = Wanted.from_request(request, services.settings)
    files = files_of(request)
    if len(files) > services.settings.max_batch_files:
        raise TooManyPictures(
            f"at most {services.settings.max_batch_files} pictures are taken at once, and the request has {len(files)}"
        )
    animated: list[bool] = []
    images = _checked(files, services.settings, animated)
    outcomes = services.inference.classify_all(images, current_client(), model=wanted.model, strict=wanted.strict)
    answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
    if not answers:
        _raise_what_may_pass(outcomes)
    body: InferredBatch = {
        "total_images": len(outcomes),
        "successful": len(answers),
        "failed": len(outcomes) - len(answers),
        "total_time_ms": round(elapsed_ms(), 1),
        "results": [
            _result(file.filename or "", outcome, wanted, animated=moves)
            for file, outcome, moves in zip(files, outcomes, animated, strict=True)
        ],
    }
    response = jsonify(body)
    return describe(response, *answers) if answers else response


@bp.get("/labels")
def labels() -> ResponseReturnValue:
    """A model's labels by class index, for programs that let a person choose one; the ETag is the model's digest.

    Raises:
        InvalidParameter, UnknownModel: the query's ``model`` is none.
        NoWorker, BackendDown: as ``LabelLookup.of`` does.
    """
    known = Services.current().labels.of(model_in_query(request))
    body: Labels = {
        "model": known.model.name,
        "version": known.model.version,
        "digest": known.digest,
        "labels": known.labels,
    }
    response = jsonify(body)
    # The address is the same for every model, so clients ask each time; an unchanged list is a short 304.
    response.headers["Cache-Control"] = "no-cache"
    response.set_etag(known.digest)
    return response.make_conditional(request)


def _checked(files: Iterable[FileStorage], settings: Settings, animated: list[bool]) -> Iterator[bytes | InvalidUpload]:
    """The pictures one by one; ``animated`` gets what is kept of each: whether it is an animated GIF."""
    for file in files:
        try:
            upload = Upload.from_file(file, settings)
        except InvalidUpload as fault:
            animated.append(False)
            yield without_frames(fault)
        else:
            animated.append(upload.animated)
            yield upload.data
            del upload  # the next one comes in its place


def _raise_what_may_pass(outcomes: Iterable[Answer | ServiceError]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, PASSING):
            raise outcome


def _result(filename: str, outcome: Answer | ServiceError, wanted: Wanted, *, animated: bool) -> BatchResult:
    if isinstance(outcome, ServiceError):
        failed: BatchResult = {
            "filename": filename, "predictions": [], "inference_time_ms": None, "error": str(outcome),
        }  # fmt: skip
        if not wanted.strict:
            failed["damaged"] = None
        return failed
    return {"filename": filename, **inferred(outcome.classification, wanted, animated=animated), "error": None}

"""``POST /infer`` and ``POST /infer/batch``: the best labels of one picture, or of each of several, for programs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from flask import Blueprint, g, jsonify, request

from api.answer_headers import describe
from api.errors import (
    ApiError,
    DeadlineExceeded,
    InvalidUpload,
    TemporarilyUnavailable,
    TooManyPictures,
    without_frames,
)
from api.gateway import Answer
from api.parameters import Wanted
from api.services import Services
from api.upload import Upload, files_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flask.typing import ResponseReturnValue
    from werkzeug.datastructures import FileStorage

    from api.settings import Settings

bp = Blueprint("infer", __name__)


@bp.post("/infer")
def infer() -> ResponseReturnValue:
    """Classify one uploaded picture.

    Raises:
        ApiError, RequestEntityTooLarge: as ``Wanted``, ``Upload.from_request`` and ``Gateway.classify`` do.
    """
    services = Services.current()
    services.gateway.admit()
    wanted = Wanted.from_request(request, services.settings)
    answer = services.gateway.classify(Upload.from_request(request, services.settings))
    return describe(jsonify(_seen(answer, wanted)), answer)


@bp.post("/infer/batch")
def infer_batch() -> ResponseReturnValue:
    """Classify several uploaded pictures side by side; a picture without an answer says why in its ``error``.

    Raises:
        MissingFile, TooManyPictures, InvalidParameter, BrokenForm, RequestEntityTooLarge: the whole request is at
            fault.
        TemporarilyUnavailable, DeadlineExceeded: no picture has an answer, and for at least one it was only for the
            time being, so that sending the batch again may help.
    """
    services = Services.current()
    services.gateway.admit()
    wanted = Wanted.from_request(request, services.settings)
    files = files_of(request)
    if len(files) > services.settings.max_batch_files:
        raise TooManyPictures(
            f"at most {services.settings.max_batch_files} pictures are taken at once, and the request has {len(files)}"
        )
    outcomes = services.gateway.classify_all(_checked(files, services.settings))
    answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
    if not answers:
        _raise_what_may_pass(outcomes)
    response = jsonify(
        total_images=len(outcomes),
        successful=len(answers),
        failed=len(outcomes) - len(answers),
        total_time_ms=round((time.perf_counter() - g.started) * 1000, 1),
        results=[_result(file.filename or "", outcome, wanted) for file, outcome in zip(files, outcomes, strict=True)],
    )
    return describe(response, *answers) if answers else response


def _checked(files: Iterable[FileStorage], settings: Settings) -> Iterator[Upload | InvalidUpload]:
    for file in files:
        try:
            yield Upload.from_file(file, settings)
        except InvalidUpload as fault:
            yield without_frames(fault)


def _raise_what_may_pass(outcomes: Iterable[Answer | ApiError]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, (TemporarilyUnavailable, DeadlineExceeded)):
            raise outcome


def _result(filename: str, outcome: Answer | ApiError, wanted: Wanted) -> dict[str, Any]:
    if isinstance(outcome, ApiError):
        return {"filename": filename, "predictions": [], "inference_time_ms": None, "error": str(outcome)}
    return {"filename": filename, **_seen(outcome, wanted), "error": None}


def _seen(answer: Answer, wanted: Wanted) -> dict[str, Any]:
    """``inference_time_ms`` is what a worker spent on the answer, whether for this request or for an earlier one."""
    timings = answer.classification.timings_ms
    return {
        "predictions": [
            {"label": entry.label, "confidence": entry.score} for entry in wanted.labels_of(answer.classification)
        ],
        "inference_time_ms": round(timings.decode + timings.infer, 1),
    }

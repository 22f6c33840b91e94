"""``POST /infer`` and ``POST /infer/batch``: the best labels of one picture, or of each of several, for programs."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from flask import Blueprint, g, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from api.answer_headers import ANSWER_HEADERS, describe
from api.bodies import BatchForm, BatchResult, Inferred, InferredBatch, PictureForm
from api.errors import (
    ApiError,
    BrokenForm,
    DeadlineExceeded,
    InvalidParameter,
    InvalidUpload,
    MissingFile,
    TemporarilyUnavailable,
    TooManyPictures,
    WorkerFault,
    without_frames,
)
from api.gateway import Answer
from api.parameters import LABELS_WANTED, Wanted
from api.reference import operation
from api.reference.operation import JSON, Content, Operation, documented
from api.services import Services
from api.upload import Upload, files_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flask.typing import ResponseReturnValue
    from werkzeug.datastructures import FileStorage

    from api.settings import Settings

bp = Blueprint("infer", __name__)


CAT: Inferred = {
    "predictions": [{"label": "Egyptian_cat", "confidence": 0.7587}, {"label": "tiger_cat", "confidence": 0.1556}],
    "inference_time_ms": 23.1,
}
CAT_AND_NOTES: InferredBatch = {
    "total_images": 2,
    "successful": 1,
    "failed": 1,
    "total_time_ms": 31.4,
    "results": [
        {"filename": "cat.jpg", **CAT, "error": None},
        {"filename": "notes.txt", "predictions": [], "inference_time_ms": None, "error": "the file is empty"},
    ],
}
PASSING = (TemporarilyUnavailable, DeadlineExceeded)


@bp.post("/infer")
@documented(
    Operation(
        tag="Classification",
        form=PictureForm,
        parameters=LABELS_WANTED,
        answers={200: operation.Answer("The labels.", {JSON: Content(Inferred, CAT)}, ANSWER_HEADERS)},
        raises=[InvalidUpload, RequestEntityTooLarge, *PASSING, WorkerFault],
    )
)
def infer() -> ResponseReturnValue:
    """Classify one uploaded picture.

    Raises:
        ApiError, RequestEntityTooLarge: as ``Wanted``, ``Upload.from_request`` and ``Gateway.classify`` do.
    """
    services = Services.current()
    services.gateway.admit()
    wanted = Wanted.from_request(request, services.settings)
    answer = services.gateway.classify(Upload.from_request(request, services.settings))
    return describe(jsonify(wanted.inferred(answer.classification)), answer)


@bp.post("/infer/batch")
@documented(
    Operation(
        tag="Classification",
        form=BatchForm,
        parameters=LABELS_WANTED,
        answers={
            200: operation.Answer(
                "Each picture's labels, or its error.",
                {JSON: Content(InferredBatch, CAT_AND_NOTES)},
                {name: replace(header, always=False) for name, header in ANSWER_HEADERS.items()},
            )
        },
        raises=[MissingFile, TooManyPictures, InvalidParameter, BrokenForm, RequestEntityTooLarge, *PASSING],
    )
)
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
    body: InferredBatch = {
        "total_images": len(outcomes),
        "successful": len(answers),
        "failed": len(outcomes) - len(answers),
        "total_time_ms": round((time.perf_counter() - g.started) * 1000, 1),
        "results": [
            _result(file.filename or "", outcome, wanted) for file, outcome in zip(files, outcomes, strict=True)
        ],
    }
    response = jsonify(body)
    return describe(response, *answers) if answers else response


def _checked(files: Iterable[FileStorage], settings: Settings) -> Iterator[Upload | InvalidUpload]:
    for file in files:
        try:
            yield Upload.from_file(file, settings)
        except InvalidUpload as fault:
            yield without_frames(fault)


def _raise_what_may_pass(outcomes: Iterable[Answer | ApiError]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, PASSING):
            raise outcome


def _result(filename: str, outcome: Answer | ApiError, wanted: Wanted) -> BatchResult:
    if isinstance(outcome, ApiError):
        return {"filename": filename, "predictions": [], "inference_time_ms": None, "error": str(outcome)}
    return {"filename": filename, **wanted.inferred(outcome.classification), "error": None}

"""``POST /predict``: one picture in, its label out, for programs."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from api.answer_headers import ANSWER_HEADERS, describe
from api.bodies import PictureForm, Prediction, PredictRefusal
from api.errors import DeadlineExceeded, InvalidUpload, TemporarilyUnavailable, WorkerFault
from api.parameters import LABELS_WANTED, SCORE_DECIMALS, Wanted
from api.reference.operation import JSON, Answer, Content, Header, Operation, documented
from api.services import Services
from api.upload import Upload

if TYPE_CHECKING:
    from flask import Response
    from flask.typing import ResponseReturnValue

bp = Blueprint("predict", __name__)

CAT: Prediction = {"success": True, "prediction": "Egyptian_cat", "score": 0.7587}
REFUSED: PredictRefusal = {"success": False, "prediction": None, "score": None}


@bp.post("/predict")
@documented(
    Operation(
        tag="Classification",
        form=PictureForm,
        parameters=LABELS_WANTED,
        answers={
            200: Answer("The label.", {JSON: Content(Prediction, CAT)}, ANSWER_HEADERS),
            400: Answer(
                "The input is at fault: no picture, a broken one, too large, a wrong parameter.",
                {JSON: Content(PredictRefusal, REFUSED)},
                {"X-Error": Header("What is wrong, for a person.", example="the file is empty")},
            ),
        },
        raises=[TemporarilyUnavailable, DeadlineExceeded, WorkerFault],
    )
)
def predict() -> ResponseReturnValue:
    """Classify one uploaded picture; with ``top_k`` or ``min_score`` (form or query) also the best labels.

    Any fault of the input is a 400 of its own shape; all other errors are problem documents.
    """
    services = Services.current()
    services.gateway.admit()
    try:
        wanted = Wanted.from_request(request, services.settings)
        answer = services.gateway.classify(Upload.from_request(request, services.settings))
    except (InvalidUpload, RequestEntityTooLarge) as fault:
        return refusal(fault), HTTPStatus.BAD_REQUEST
    best = answer.classification.labels[0]
    body: Prediction = {"success": True, "prediction": best.label, "score": round(best.score, SCORE_DECIMALS)}
    if wanted.named:
        body["predictions"] = [
            {"label": entry.label, "score": entry.score} for entry in wanted.labels_of(answer.classification)
        ]
    return describe(jsonify(body), answer)


def refusal(fault: InvalidUpload | HTTPException) -> Response:
    detail = str(fault) if isinstance(fault, InvalidUpload) else "the request has more bytes than this service takes"
    response = jsonify(REFUSED)
    response.headers["X-Error"] = detail
    return response

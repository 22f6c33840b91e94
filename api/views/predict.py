"""``POST /predict``: one picture in, its label out, for programs."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from api.core.errors import ClientGone, InvalidUpload
from api.http.caller import current_client
from api.http.parameters import SCORE_DECIMALS, Wanted, labels_of, model_in_query
from api.http.problems import detail_of
from api.http.response_headers import describe
from api.http.upload import Upload
from api.services import Services
from contract.model_task import ModelTask

if TYPE_CHECKING:
    from flask import Response
    from flask.typing import ResponseReturnValue

    from api.http.schemas import Prediction, PredictRefusal

bp = Blueprint("predict", __name__)


@bp.post("/predict")
def predict() -> ResponseReturnValue:
    """Classify one uploaded picture; with ``top_k`` or ``min_score`` (form or query) the answer has the best labels.

    With ``strict=false`` a damaged picture is classified too, and the answer says whether it is damaged.

    Any fault of the input is a 400 with a body of its own; all other errors are problem documents.
    """
    services = Services.current()
    try:
        services.inference.admit(ModelTask.CLASSIFICATION, model_in_query(request))
        wanted = Wanted.from_request(request, services.settings)
        upload = Upload.from_request(request, services.settings)
        answer = services.inference.infer(upload.taken(), current_client(), wanted.asked)
    except (InvalidUpload, ClientGone, RequestEntityTooLarge) as fault:
        return _refusal(fault), HTTPStatus.BAD_REQUEST
    best = answer.found.labels[0]
    body: Prediction = {"success": True, "prediction": best.label, "score": round(best.score, SCORE_DECIMALS)}
    if wanted.labels_sent:
        body["predictions"] = [
            {"label": entry.label, "score": entry.score} for entry in labels_of(answer.found, wanted)
        ]
    if not wanted.strict:
        body["damaged"] = answer.found.damaged
    if upload.animated:
        body["first_frame_only"] = True
    return describe(jsonify(body), answer)


def _refusal(fault: InvalidUpload | ClientGone | HTTPException) -> Response:
    body: PredictRefusal = {"success": False, "prediction": None, "score": None}
    response = jsonify(body)
    response.headers["X-Error"] = detail_of(fault) if isinstance(fault, HTTPException) else str(fault)
    return response

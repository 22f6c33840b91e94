"""``POST /predict``: one picture in, its label out, for programs."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from api.answer_headers import describe
from api.errors import InvalidParameter, InvalidUpload
from api.services import Services
from api.upload import Upload

if TYPE_CHECKING:
    from flask import Response
    from flask.typing import ResponseReturnValue

bp = Blueprint("predict", __name__)


@bp.post("/predict")
def predict() -> ResponseReturnValue:
    """Classify the picture in the form field ``file``; with ``top_k=n`` (form or query) also the n best labels.

    Any fault of the input is the documented 400; everything else propagates to the one error shape.
    """
    services = Services.current()
    services.gateway.admit()
    try:
        top_k = requested_top_k(services.settings.top_k_max)
        answer = services.gateway.classify(Upload.from_request(request, services.settings))
    except (InvalidUpload, RequestEntityTooLarge) as fault:
        return refusal(fault), HTTPStatus.BAD_REQUEST
    best = answer.classification.labels[0]
    body: dict[str, Any] = {"success": True, "prediction": best.label, "score": round(best.score, 4)}
    if top_k is not None:
        body["predictions"] = [
            {"label": entry.label, "score": round(entry.score, 4)} for entry in answer.classification.labels[:top_k]
        ]
    return describe(jsonify(body), answer)


def requested_top_k(top_k_max: int) -> int | None:
    """The request's ``top_k``, or None where it names none.

    Raises:
        InvalidParameter: it is no whole number from 1 to ``top_k_max``.
    """
    raw = request.args.get("top_k", request.form.get("top_k"))
    if raw is None:
        return None
    if not re.fullmatch(r"[0-9]{1,3}", raw) or not 1 <= int(raw) <= top_k_max:
        raise InvalidParameter(f"top_k must be a whole number from 1 to {top_k_max}")
    return int(raw)


def refusal(fault: InvalidUpload | HTTPException) -> Response:
    detail = str(fault) if isinstance(fault, InvalidUpload) else "the request has more bytes than this service takes"
    response = jsonify({"success": False, "prediction": None, "score": None})
    response.headers["X-Error"] = detail
    return response

"""``POST /detect`` and ``POST /detect/batch``: the objects in one picture, or in each of several, for programs.

Those in one picture can also be had drawn on it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, request

from api.http.caller import current_client
from api.http.detection_parameters import WantedObjects, chosen, detected
from api.http.drawn_answer import drawn_response, refuse_drawing, wanted_drawing
from api.http.parameters import model_in_query
from api.http.response_headers import describe, elapsed_ms
from api.http.several_pictures import answer_batch
from api.http.upload import Upload
from api.services import Services
from contract.errors import ServiceError
from contract.model_task import ModelTask

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from api.http.schemas import DetectedBatchResult
    from api.http.several_pictures import Ended
    from contract.messages import Detection

bp = Blueprint("detect", __name__, url_prefix="/detect")


@bp.post("")
def detect() -> ResponseReturnValue:
    """Find the objects in one uploaded picture, and answer with a list of them or with the picture and them on it.

    Raises:
        ServiceError, RequestEntityTooLarge: as ``WantedObjects``, ``wanted_drawing``, ``Upload.from_request``,
            ``Inference.answered`` and ``DrawnPictures.open`` do.
    """
    services, client = Services.current(), current_client()
    services.inference.admit(ModelTask.DETECTION, model_in_query(request))
    wanted = WantedObjects.from_request(request, services.labels)
    media_type = wanted_drawing(request)
    upload = Upload.from_request(request, services.settings)
    if media_type is None:
        answer = services.inference.infer(upload.taken(), client, wanted.asked)
        return describe(jsonify(detected(answer.found, wanted, animated=upload.animated)), answer)
    with services.inference.answered(upload.taken(), client, wanted.asked) as answer:
        shown, before_ms = chosen(answer.found, wanted), elapsed_ms()
        file = services.drawn.open(answer.picture, shown, client, media_type)
        return describe(drawn_response(file, shown), answer, drawing_ms=elapsed_ms() - before_ms)


@bp.post("/batch")
def detect_batch() -> ResponseReturnValue:
    """Find the objects in several uploaded pictures; a picture without an answer says why in its ``error``.

    Raises:
        ServiceError, RequestEntityTooLarge: as ``WantedObjects``, ``refuse_drawing`` and ``answer_batch`` do.
    """
    services = Services.current()
    services.inference.admit(ModelTask.DETECTION, model_in_query(request))
    wanted = WantedObjects.from_request(request, services.labels)
    refuse_drawing(request)
    return answer_batch(wanted.asked, partial(_result, wanted))


def _result(wanted: WantedObjects, ended: Ended[Detection]) -> DetectedBatchResult:
    if isinstance(ended.outcome, ServiceError):
        failed: DetectedBatchResult = {
            "filename": ended.filename,
            "detections": [],
            "image": None,
            "inference_time_ms": None,
            "error": str(ended.outcome),
        }
        if not wanted.strict:
            failed["damaged"] = None
        return failed
    return {
        "filename": ended.filename,
        **detected(ended.outcome.found, wanted, animated=ended.animated),
        "error": None,
    }

"""The routes of the inspection system that this one replaces, in its own shapes: its clients and scripts go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, request

from api.core.errors import InvalidParameter, InvalidUpload, NoWorker
from api.core.inference import Asked
from api.http.caller import current_client
from api.http.pattern_check import PatternCheck
from api.http.response_headers import describe
from api.http.upload import Upload, files_of
from api.services import Services
from contract.errors import TemporarilyUnavailable
from contract.messages import DetectJob
from contract.model_task import ModelTask
from contract.patterns.replaced_check import check_as_replaced
from contract.worker_registry import ALIVE_FOR_S

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from api.http.schemas import CheckedPattern, ReplacedInference
    from contract.patterns.pattern import PatternSet

bp = Blueprint("replaced", __name__)

PIXEL_DECIMALS = 1
SCORE_DECIMALS = 3


@bp.post("/inference")
def inference() -> ResponseReturnValue:
    """Find the objects in one picture: all that the model answers with, best first.

    Raises:
        InvalidParameter: the part that has the picture calls itself something else.
        ServiceError, RequestEntityTooLarge: as ``Upload.from_request`` and ``Inference.infer`` do.
    """
    services = Services.current()
    services.inference.admit(ModelTask.DETECTION)
    named = files_of(request)[0].mimetype
    if named and not named.startswith("image/"):
        raise InvalidParameter("the picture's content type must be image/*")
    upload = Upload.from_request(request, services.settings)
    answer = services.inference.infer(upload.taken(), current_client(), Asked(DetectJob))
    body: ReplacedInference = {
        "bboxes": [[round(edge, PIXEL_DECIMALS) for edge in entry.box] for entry in answer.found.objects],
        "class_ids": [entry.index for entry in answer.found.objects],
        "scores": [round(entry.score, SCORE_DECIMALS) for entry in answer.found.objects],
    }
    return describe(jsonify(body), answer)


@bp.post("/check-pattern")
def check_pattern() -> ResponseReturnValue:
    """Hold objects that the sender has found against a set of patterns, as the replaced system judges.

    Raises:
        ServiceError, RequestEntityTooLarge: as ``PatternCheck.from_request``.
        NoWorker: as ``_labels``.
    """
    services = Services.current()
    asked = PatternCheck.from_request(request, services.patterns)
    verdict = check_as_replaced(asked.patterns, asked.objects(_labels(services, asked.patterns)))
    body: CheckedPattern = {
        "decision": verdict.decision,
        "pattern_name": verdict.pattern,
        "lg": list(verdict.found),
    }
    return jsonify(body)


def _labels(services: Services, patterns: PatternSet) -> tuple[str, ...]:
    """The default detector's, by class index; none while nobody knows them, for patterns that name no label.

    Raises:
        NoWorker: nobody knows them, and the patterns do.
    """
    try:
        return services.labels.of(None, ModelTask.DETECTION).labels
    except (TemporarilyUnavailable, InvalidUpload) as error:
        if any(expected.label is not None for pattern in patterns.patterns for expected in pattern.objects):
            raise NoWorker("the pattern names labels, and no detector is ready that knows them", ALIVE_FOR_S) from error
        return ()

"""``POST /v1/inspections``: is a part good, by the objects in its picture?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, request

from api.http.caller import current_client
from api.http.detection_parameters import chosen
from api.http.inspection_bodies import inspected
from api.http.inspection_parameters import WantedInspection
from api.http.parameters import model_in_query
from api.http.response_headers import describe
from api.http.upload import Upload
from api.metrics.recorder import Metrics
from api.services import Services
from contract.model_task import ModelTask
from contract.patterns.check import check

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

bp = Blueprint("inspections", __name__, url_prefix="/v1/inspections")


@bp.post("")
def inspect() -> ResponseReturnValue:
    """Find the objects in one uploaded picture, and hold them against a set of patterns.

    Raises:
        ServiceError, RequestEntityTooLarge: as ``WantedInspection``, ``Upload.from_request`` and ``Inference.infer``
            do.
    """
    services = Services.current()
    services.inference.admit(ModelTask.DETECTION, model_in_query(request))
    wanted = WantedInspection.from_request(request, services.labels, services.patterns)
    upload = Upload.from_request(request, services.settings)
    answer = services.inference.infer(upload.data, current_client(), wanted.objects.asked)
    detection = chosen(answer.found, wanted.objects)
    verdict = check(wanted.patterns, detection)
    Metrics.current().count_inspection(good=verdict.decision)
    return describe(jsonify(inspected(wanted, detection, verdict, animated=upload.animated)), answer)

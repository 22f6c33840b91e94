"""``POST /infer`` and ``POST /infer/batch``: the best labels of one picture, or of each of several, for programs.

And ``GET /labels``: all labels of the model.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, request

from api.http.caller import current_client
from api.http.parameters import Wanted, inferred, model_in_query
from api.http.response_headers import describe
from api.http.several_pictures import answer_batch
from api.http.upload import Upload
from api.services import Services
from contract.errors import ServiceError
from contract.model_task import ModelTask

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from api.http.schemas import BatchResult, Labels
    from api.http.several_pictures import Ended
    from contract.messages import Classification

bp = Blueprint("infer", __name__)


@bp.post("/infer")
def infer() -> ResponseReturnValue:
    """Classify one uploaded picture.

    Raises:
        ServiceError, RequestEntityTooLarge: as ``Wanted``, ``Upload.from_request`` and ``Inference.infer`` do.
    """
    services = Services.current()
    services.inference.admit(ModelTask.CLASSIFICATION, model_in_query(request))
    wanted = Wanted.from_request(request, services.settings)
    upload = Upload.from_request(request, services.settings)
    answer = services.inference.infer(upload.taken(), current_client(), wanted.asked)
    return describe(jsonify(inferred(answer.found, wanted, animated=upload.animated)), answer)


@bp.post("/infer/batch")
def infer_batch() -> ResponseReturnValue:
    """Classify several uploaded pictures side by side; a picture without an answer says why in its ``error``.

    Raises:
        ServiceError, RequestEntityTooLarge: as ``Wanted`` and ``answer_batch`` do.
    """
    services = Services.current()
    services.inference.admit(ModelTask.CLASSIFICATION, model_in_query(request))
    wanted = Wanted.from_request(request, services.settings)
    return answer_batch(wanted.asked, partial(_result, wanted))


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


def _result(wanted: Wanted, ended: Ended[Classification]) -> BatchResult:
    if isinstance(ended.outcome, ServiceError):
        failed: BatchResult = {
            "filename": ended.filename, "predictions": [], "inference_time_ms": None, "error": str(ended.outcome),
        }  # fmt: skip
        if not wanted.strict:
            failed["damaged"] = None
        return failed
    return {"filename": ended.filename, **inferred(ended.outcome.found, wanted, animated=ended.animated), "error": None}

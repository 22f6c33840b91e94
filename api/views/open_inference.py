"""``/v2``: the Open Inference Protocol, for clients of KServe and Triton."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import UnsupportedMediaType

from api import VERSION
from api.core.encoded_picture import check
from api.core.errors import EmptyFile, InvalidParameter, InvalidUpload, UnknownModel
from api.core.inference import Answer, Asked
from api.core.readiness import ready_pool
from api.http.caller import current_client
from api.http.detection_parameters import WantedObjects, chosen
from api.http.open_inference import (
    EXTENSIONS,
    INPUT,
    JSON_BYTES,
    PLATFORM,
    InferRequest,
    Tensor,
    WantedOutput,
    read_request,
    write_answer,
)
from api.http.open_inference_outputs import (
    LABEL_OUTPUTS,
    OBJECT_OUTPUTS,
    label_metadata,
    label_tensor,
    object_metadata,
    object_tensor,
)
from api.http.receiving import receiving, whole
from api.http.response_headers import describe
from api.services import Services
from contract.errors import ServiceError
from contract.messages import ClassifyJob, DetectJob, Found, PictureJob
from contract.model_task import ModelTask
from contract.model_version import WantedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flask.typing import ResponseReturnValue

    from api.http.schemas import InferenceServer, ModelMetadata, ModelReady, ServerLive, ServerReady
    from api.settings import Settings

bp = Blueprint("open_inference", __name__, url_prefix="/v2")

SERVER = "classifier"


@bp.get("")
def server() -> ResponseReturnValue:
    """What this server is, and which extensions of the protocol it has."""
    body: InferenceServer = {"name": SERVER, "version": VERSION, "extensions": list(EXTENSIONS)}
    return jsonify(body)


@bp.get("/health/live")
def live() -> ResponseReturnValue:
    """As ``/livez``."""
    body: ServerLive = {"live": True}
    return jsonify(body)


@bp.get("/health/ready")
def ready() -> ResponseReturnValue:
    """As ``/readyz``.

    Raises:
        BackendDown, NoWorker: as ``ready_pool``.
    """
    services = Services.current()
    ready_pool(services.queue, services.store, services.live_workers)
    body: ServerReady = {"ready": True}
    return jsonify(body)


@bp.get("/models/<name>")
@bp.get("/models/<name>/versions/<version>")
def model(name: str, version: str | None = None) -> ResponseReturnValue:
    """A model's inputs and outputs, and those of its versions that have workers.

    Raises:
        UnknownModel, OtherTask, NoWorker, BackendDown: as ``LabelLookup.of`` and ``Inference.task``.
    """
    services = Services.current()
    wanted = _wanted(name, version)
    known = services.labels.of(wanted)
    fleet = services.live_workers.fleet()
    served = [each.version for each in fleet.versions if each.name == known.model.name and each.key in fleet.pools]
    detects = services.inference.task(wanted) is ModelTask.DETECTION
    shown = min(services.settings.top_k, len(known.labels))
    body: ModelMetadata = {
        "name": known.model.name,
        "versions": served if wanted.version is None else [wanted.version],
        "platform": PLATFORM,
        "inputs": [
            {"name": INPUT, "datatype": "BYTES", "shape": [-1], "parameters": {"content_type": "base64"}},
        ],
        "outputs": object_metadata() if detects else label_metadata(shown),
    }
    return jsonify(body)


@bp.get("/models/<name>/ready")
@bp.get("/models/<name>/versions/<version>/ready")
def model_ready(name: str, version: str | None = None) -> ResponseReturnValue:
    """Whether a model has workers.

    Raises:
        UnknownModel, NoWorker, BackendDown: as ``LiveWorkers.pool``.
    """
    pool = Services.current().live_workers.pool(_wanted(name, version))
    body: ModelReady = {"name": pool.version.name, "ready": True}
    return jsonify(body)


@bp.post("/models/<name>/infer")
@bp.post("/models/<name>/versions/<version>/infer")
def infer(name: str, version: str | None = None) -> ResponseReturnValue:
    """The labels of the pictures of one input tensor, or the objects in them.

    A tensor has no place for an error, so one fails all.

    An answer names one version. So several pictures go to one, and none of them to a candidate or to the fallback.

    Raises:
        UnsupportedMediaType: the body is compressed.
        ServiceError, RequestEntityTooLarge: as ``read_request``, ``WantedObjects.from_parameters``, ``check`` and
            ``Inference.infer``; of several pictures' errors, one that sending again does not help against.
    """
    services = Services.current()
    wanted = _wanted(name, version)
    task = services.inference.task(wanted)
    services.inference.admit(task, wanted)
    if task is ModelTask.DETECTION:
        asked = _received(services.settings, OBJECT_OUTPUTS)
        objects = WantedObjects.from_parameters(asked.parameters, wanted, services.labels)
        detections = _answered(asked, DetectJob, wanted, services)
        found = [chosen(answer.found, objects) for answer in detections]
        return _response(asked, detections, lambda output: object_tensor(output, found))
    asked = _received(services.settings, LABEL_OUTPUTS)
    classifications = _answered(asked, ClassifyJob, wanted, services)
    seen = [answer.found for answer in classifications]
    return _response(asked, classifications, lambda output: label_tensor(output, seen, services.settings.top_k))


def _answered(
    asked: InferRequest, job: type[PictureJob[Found]], wanted: WantedModel, services: Services
) -> list[Answer[Found]]:
    """Those to all pictures, in order. Raises ServiceError: as ``infer``."""
    _check(asked.pictures, services.settings)
    if len(asked.pictures) > 1:
        current = services.live_workers.pool(wanted, job.model_task).version
        wanted = WantedModel(current.name, current.version)
    return _answers(services.inference.infer_all(_each_once(asked.pictures), current_client(), Asked(job, wanted)))


def _response(
    asked: InferRequest, answers: Sequence[Answer[Found]], tensor_of: Callable[[WantedOutput], Tensor]
) -> Response:
    first = answers[0].found
    body, json_bytes = write_answer(asked, (first.model, first.version), tensor_of)
    response = Response(body, content_type="application/json" if json_bytes is None else "application/octet-stream")
    if json_bytes is not None:
        response.headers[JSON_BYTES] = str(json_bytes)
    return describe(response, *answers)


def _wanted(name: str, version: str | None) -> WantedModel:
    """Raises UnknownModel: the address has what can't be one's name or version."""
    try:
        return WantedModel.parse(name if version is None else f"{name}@{version}")
    except ValueError as error:
        raise UnknownModel("there is no model or version of this name") from error


def _received(settings: Settings, outputs: Sequence[str]) -> InferRequest:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("the body is compressed, which is not taken: send it without Content-Encoding")
    length = request.headers.get(JSON_BYTES)
    if length is not None and not re.fullmatch("[0-9]{1,12}", length):
        raise InvalidParameter(f"{JSON_BYTES} must be a number of bytes")
    with receiving(request.stream, request.environ, request.content_length) as (stream, take):
        return read_request(
            whole(stream),
            None if length is None else int(length),
            take,
            names=outputs,
            most_pictures=settings.max_batch_files,
            most_classes=settings.top_k_max,
        )


def _check(pictures: list[bytes], settings: Settings) -> None:
    """All of them, before the first is stored."""
    for position, picture in enumerate(pictures, 1):
        try:
            if not picture:
                raise EmptyFile("the file is empty")
            check(picture, settings.max_pixels)
        except InvalidUpload as fault:
            raise _named(fault, position, len(pictures)) from None


def _each_once(pictures: list[bytes]) -> Iterator[bytes]:
    """Each is let go when the next is taken."""
    pictures.reverse()
    while pictures:
        yield pictures.pop()


def _answers(outcomes: list[Answer[Found] | ServiceError]) -> list[Answer[Found]]:
    """Raises ServiceError: a picture has no answer; of several such errors, one for which the picture is to blame."""
    faults = [
        (_named(outcome, position, len(outcomes)) if isinstance(outcome, InvalidUpload) else outcome)
        for position, outcome in enumerate(outcomes, 1)
        if isinstance(outcome, ServiceError)
    ]
    if faults:
        raise min(faults, key=lambda fault: not isinstance(fault, InvalidUpload))
    return [outcome for outcome in outcomes if isinstance(outcome, Answer)]


def _named(fault: InvalidUpload, position: int, count: int) -> InvalidUpload:
    """It, with the picture that is meant, where there are several."""
    return fault if count == 1 else type(fault)(f"picture {position} of {count}: {fault}")

"""``/v2``: the Open Inference Protocol, which KServe, Triton and their clients speak, on the same engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import UnsupportedMediaType

from api import VERSION
from api.core.errors import InvalidUpload, UnknownModel
from api.core.inference import Answer
from api.http.bounded_body import bounded_body, whole
from api.http.caller import current_client
from api.http.open_inference import EXTENSIONS, HEADER_LENGTH, INPUT, OUTPUTS, ROOT, read_request
from api.http.open_inference_answer import tensors, write_answer
from api.http.response_headers import describe
from api.http.upload import check_picture
from api.services import Services
from contract.model_name import NAME
from contract.model_name import VERSION as MODEL_VERSION
from contract.model_version import ModelVersion, WantedModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flask.typing import ResponseReturnValue

    from api.http.open_inference import InferenceRequest
    from api.http.schemas import (
        OpenInferenceAnswer,
        OpenInferenceLive,
        OpenInferenceModel,
        OpenInferenceModelReady,
        OpenInferenceReady,
        OpenInferenceServer,
    )
    from contract.errors import ServiceError

bp = Blueprint("open_inference", __name__, url_prefix=ROOT)

SERVER = "image-classifier"
PLATFORM = "onnxruntime_onnx"


@bp.get("")
def server() -> ResponseReturnValue:
    """What this server is, and which extensions of the protocol it knows."""
    body: OpenInferenceServer = {"name": SERVER, "version": VERSION, "extensions": list(EXTENSIONS)}
    return jsonify(body)


@bp.get("/health/live")
def live() -> ResponseReturnValue:
    """This process answers; nothing else is checked."""
    body: OpenInferenceLive = {"live": True}
    return jsonify(body)


@bp.get("/health/ready")
def ready() -> ResponseReturnValue:
    """Requests can be served now.

    Raises:
        BackendDown, NoWorker: as ``Services.check_ready`` does.
    """
    Services.current().check_ready()
    body: OpenInferenceReady = {"ready": True}
    return jsonify(body)


@bp.get("/models/<name>")
@bp.get("/models/<name>/versions/<version>")
def model(name: str, version: str | None = None) -> ResponseReturnValue:
    """A model's versions that are served, and its tensors.

    Raises:
        UnknownModel, NoWorker, BackendDown: as ``LiveWorkers.pool`` does.
    """
    live_workers = Services.current().live_workers
    named = live_workers.pool(_wanted(name, version)).version
    fleet = live_workers.fleet()
    served = [known.version for known in fleet.versions if known.name == named.name and known.key in fleet.pools]
    body: OpenInferenceModel = {
        "name": named.name,
        "versions": served if version is None else [named.version],
        "platform": PLATFORM,
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": output, "datatype": kind, "shape": [-1, -1]} for output, kind in OUTPUTS.items()],
    }
    return jsonify(body)


@bp.get("/models/<name>/ready")
@bp.get("/models/<name>/versions/<version>/ready")
def model_ready(name: str, version: str | None = None) -> ResponseReturnValue:
    """A worker serves the model now.

    Raises:
        UnknownModel, NoWorker, BackendDown: as ``LiveWorkers.pool`` does.
    """
    pool = Services.current().live_workers.pool(_wanted(name, version))
    body: OpenInferenceModelReady = {"name": pool.version.name, "ready": True}
    return jsonify(body)


@bp.post("/models/<name>/infer")
@bp.post("/models/<name>/versions/<version>/infer")
def infer(name: str, version: str | None = None) -> ResponseReturnValue:
    """Classify a tensor of pictures; the protocol has no place for a picture's own error, so one fails all.

    Raises:
        ServiceError, RequestEntityTooLarge: as ``read_request``, ``check_picture`` and ``Inference.classify`` do.
        UnsupportedMediaType: the body is compressed.
    """
    services = Services.current()
    wanted_model = _wanted(name, version)
    services.inference.admit(wanted_model)
    wanted = _read(services)
    _check(wanted.pictures, services.settings.max_pixels)
    outcomes = services.inference.classify_all(_each_once(wanted.pictures), current_client(), model=wanted_model)
    answers = _all_answered(outcomes)
    outputs = tensors(wanted, [answer.classification.labels for answer in answers], _classes(services, wanted, answers))
    body, json_length = write_answer(_head(wanted_model, wanted.request_id, answers), outputs)
    response = Response(body, content_type="application/json" if json_length is None else "application/octet-stream")
    if json_length is not None:
        response.headers[HEADER_LENGTH] = str(json_length)
    return describe(response, *answers)


def _wanted(name: str, version: str | None) -> WantedModel:
    """Raises UnknownModel: no model can be named so."""
    if not NAME.fullmatch(name) or not (version is None or MODEL_VERSION.fullmatch(version)):
        raise UnknownModel("there is no model that is named so")
    return WantedModel(name, version)


def _read(services: Services) -> InferenceRequest:
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("compressed bodies are not taken: pictures are compressed already")
    with bounded_body(request.stream, request.environ, request.content_length) as (stream, take):
        return read_request(whole(stream), request.headers.get(HEADER_LENGTH), services.settings, take)


def _check(pictures: Sequence[bytes], max_pixels: int) -> None:
    for number, picture in enumerate(pictures, 1):
        try:
            check_picture(picture, max_pixels)
        except InvalidUpload as fault:
            raise _placed(fault, number, len(pictures)) from None


def _each_once(pictures: list[bytes]) -> Iterator[bytes]:
    """The pictures; each is let go when the next one is asked for."""
    pictures.reverse()
    while pictures:
        yield pictures.pop()


def _all_answered(outcomes: Sequence[Answer | ServiceError]) -> list[Answer]:
    """Raises ServiceError: a picture has no answer. A picture's own fault comes first: sending it again is no use."""
    faults = [
        _placed(outcome, number, len(outcomes))
        for number, outcome in enumerate(outcomes, 1)
        if isinstance(outcome, InvalidUpload)
    ]
    for error in (*faults, *(outcome for outcome in outcomes if not isinstance(outcome, Answer))):
        raise error
    return [outcome for outcome in outcomes if isinstance(outcome, Answer)]


def _placed(fault: InvalidUpload, number: int, count: int) -> InvalidUpload:
    return fault if count == 1 else type(fault)(f"picture {number} of {count}: {fault}")


def _classes(services: Services, wanted: InferenceRequest, answers: Sequence[Answer]) -> list[Sequence[str]]:
    if not wanted.wants_classes:
        return []
    versions = [_version(answer) for answer in answers]
    known = {
        version: services.labels.of(WantedModel(version.name, version.version)).labels for version in set(versions)
    }
    return [known[version] for version in versions]


def _head(asked: WantedModel, request_id: str | None, answers: Sequence[Answer]) -> OpenInferenceAnswer:
    """Pictures may be answered by several versions, as while a candidate is tried: ``answered_by`` then names them."""
    versions = [_version(answer) for answer in answers]
    head: OpenInferenceAnswer = {"model_name": asked.name, "outputs": []}
    if request_id is not None:
        head["id"] = request_id
    if len(set(versions)) == 1:
        head["model_name"], head["model_version"] = versions[0].name, versions[0].version
    else:
        head["parameters"] = {"answered_by": ", ".join(map(str, versions))}
    return head


def _version(answer: Answer) -> ModelVersion:
    return ModelVersion(answer.classification.model, answer.classification.version)

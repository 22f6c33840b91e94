"""``/main`` of the inspection system that this one replaces, and the picture that it was about, in its own shapes."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from flask import Blueprint, request
from werkzeug.datastructures import CombinedMultiDict

from api.core.errors import CameraFailed, CameraTimeout, InvalidParameter, NotAnswering, NoWorker
from api.http.caller import current_client
from api.http.camera_picture import NAMES as CAMERA_NAMES
from api.http.camera_picture import asks_camera, take_picture
from api.http.detection_parameters import chosen
from api.http.inspection_keeping import keep_inspection, keep_latest
from api.http.main_bodies import kept_of, main_body, with_pictures
from api.http.main_parameters import TAKEN, WantedMain
from api.http.response_headers import describe, uncached
from api.http.stored_picture import picture_response
from api.http.upload import Upload
from api.services import Services
from contract.errors import DeadlineExceeded
from contract.image_header import media_type
from contract.model_task import ModelTask
from contract.patterns.placement import placed_objects
from contract.patterns.replaced_check import check_as_replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.typing import ResponseReturnValue

    from api.core.errors import CameraFault
    from api.http.schemas import PictureSource
    from contract.messages import Detection

bp = Blueprint("replaced_main", __name__)

JPEG = "image/jpeg"
HEAD_BYTES = 64  # that tell a JPEG from all else
NO_ANSWER: frozenset[CameraFault] = frozenset({"unreachable", "broken_off"})
NONE_YET = ("No image captured yet", {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"})


@bp.route("/main", methods=["GET", "POST"])
def main() -> ResponseReturnValue:
    """Find the objects in one picture, and hold them against a set of patterns.

    Raises:
        NotAnswering: no worker does.
        ServiceError, RequestEntityTooLarge: as ``WantedMain.from_request``, ``Upload.from_request`` and ``_judged``
            do.
    """
    services = Services.current()
    with _as_replaced():
        services.inference.admit(ModelTask.DETECTION)
        wanted = WantedMain.from_request(request, services)
        return _judged(Upload.from_request(request, services.settings), wanted, source="upload")


@bp.route("/main/with-camera", methods=["GET", "POST"])
def with_camera() -> ResponseReturnValue:
    """As ``main``, of a picture that the camera takes after the request has come.

    Raises:
        NotAnswering: the camera does not, or no worker does.
        InvalidParameter: the request has something else than parameters.
        ServiceError, RequestEntityTooLarge: as ``WantedMain.from_request``, ``take_picture`` and ``_judged`` do.
    """
    services = Services.current()
    with _as_replaced():
        services.inference.admit(ModelTask.DETECTION)
        wanted = WantedMain.from_request(request, services, CAMERA_NAMES)
        if services.camera.is_there and not asks_camera(request, services.camera, TAKEN):
            raise InvalidParameter("the camera takes the picture here: send parameters alone, or the picture to /main")
        texts = CombinedMultiDict([request.args, request.form])
        return _judged(take_picture(services.camera, texts, current_client()), wanted, source="camera")


@bp.get("/image-raw")
def image_raw() -> ResponseReturnValue:
    """The picture that was inspected last, as it came.

    Raises:
        BackendDown: it can't be read.
    """
    latest = Services.current().latest.open()
    return NONE_YET if latest is None else uncached(picture_response(latest.file))


@bp.get("/image-draw")
def image_draw() -> ResponseReturnValue:
    """The picture that was inspected last, with the objects drawn that were found in it.

    Raises:
        ServiceError: as ``DrawnInspections.open_latest`` does.
    """
    file = Services.current().drawn_inspections.open_latest(current_client(), JPEG)
    return NONE_YET if file is None else uncached(picture_response(file))


@contextmanager
def _as_replaced() -> Iterator[None]:
    """Tell as the replaced system does what the camera, or the workers, leave without an answer.

    Raises:
        NotAnswering: in the place of that.
    """
    try:
        yield
    except (CameraTimeout, DeadlineExceeded, NoWorker) as error:
        raise NotAnswering(str(error)) from error
    except CameraFailed as error:
        if error.fault in NO_ANSWER:
            raise NotAnswering(str(error)) from error
        raise


def _judged(upload: Upload, wanted: WantedMain, *, source: PictureSource) -> ResponseReturnValue:
    """The answer, which is kept as every inspection's.

    Raises:
        ServiceError: as ``Inference.answered``, ``WantedInspection.demand_same_objects`` and ``DrawnPictures.open`` do.
        PictureNotFound: it was deleted meanwhile, and was to be answered.
    """
    services, client, inspection = Services.current(), current_client(), wanted.inspection
    with services.inference.answered(upload.taken(), client, wanted.objects.asked) as answer:
        if inspection is not None:
            inspection.demand_same_objects(answer, services.labels)
        detection = chosen(answer.found, wanted.objects)
        verdict = None
        if inspection is not None and detection.objects:
            verdict = check_as_replaced(inspection.patterns, placed_objects(detection))
        keep_latest(answer.picture, detection, client)
        if inspection is not None:
            found = kept_of(inspection, detection, verdict, source=source, animated=upload.animated)
            keep_inspection(answer.picture, detection, found, client)
        response = with_pictures(
            main_body(detection, verdict, wanted.options),
            wanted.options,
            picture=lambda: _as_jpeg(answer.picture, detection),
            drawn_picture=lambda: services.drawn.open(answer.picture, detection, client, JPEG),
        )
    return uncached(describe(response, answer))


def _as_jpeg(picture: str, detection: Detection) -> IO[bytes]:
    """A stored picture as it came if it is a JPEG; of any other kind, one with nothing drawn on it."""
    services = Services.current()
    file = services.uploads.store.open(picture)
    kind = media_type(file.read(HEAD_BYTES))
    file.seek(0)
    if kind == JPEG:
        return file
    file.close()
    return services.drawn.open(picture, replace(detection, objects=()), current_client(), JPEG)

"""``/v1/inspections``: is a part good, by the objects in its picture? And how others were."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING

from flask import Blueprint, Response, jsonify, request

from api.core.errors import NoInspection
from api.feedback.log import csv_row
from api.http.caller import current_client
from api.http.camera_picture import asks_camera, take_picture
from api.http.detection_parameters import chosen
from api.http.drawn_answer import drawn_response, drawn_type
from api.http.inspection_bodies import CSV_COLUMNS, csv_cells, inspected, shown_inspection
from api.http.inspection_keeping import keep_inspection, keep_latest
from api.http.inspection_parameters import NAMES, WantedInspection
from api.http.parameters import model_in_query, page_number
from api.http.response_headers import describe, uncached
from api.http.stored_picture import picture_response
from api.http.upload import Upload
from api.inspection.filter import InspectionFilter
from api.services import Services
from contract.model_task import ModelTask
from contract.patterns.check import check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.typing import ResponseReturnValue

    from api.core.inference import Answer
    from api.http.schemas import Inspection as InspectionBody
    from api.http.schemas import InspectionList
    from api.inspection.record import Inspection
    from contract.messages import Detection

bp = Blueprint("inspections", __name__)

PAGE = 50  # inspections


@bp.post("/v1/inspections")
def inspect() -> ResponseReturnValue:
    """Inspect one picture.

    Raises:
        ServiceError, RequestEntityTooLarge: as ``inspected_now`` does.
    """
    shown, answer = inspected_now()
    return describe(jsonify(shown), answer)


def inspected_now() -> tuple[InspectionBody, Answer[Detection]]:
    """Find the objects in one picture, hold them against a set of patterns, and keep how that ended.

    The camera takes the picture if the request has none; not before the request has been admitted and its parameters
    are known to be right.

    Raises:
        ServiceError, RequestEntityTooLarge: as ``WantedInspection``, ``Upload.from_request``, ``asks_camera``,
            ``take_picture`` and ``Inference.infer`` do.
    """
    services, client = Services.current(), current_client()
    services.inference.admit(ModelTask.DETECTION, model_in_query(request))
    wanted = WantedInspection.from_request(request, services.labels, services.patterns)
    by_camera = asks_camera(request, services.camera, NAMES)
    upload = (
        take_picture(services.camera, request.values, client)
        if by_camera
        else Upload.from_request(request, services.settings)
    )
    answer = services.inference.infer(upload.taken(), client, wanted.objects.asked)
    wanted.demand_same_objects(answer, services.labels)
    detection = chosen(answer.found, wanted.objects)
    found = inspected(
        wanted,
        detection,
        check(wanted.patterns, detection),
        source="camera" if by_camera else "upload",
        animated=upload.animated,
    )
    keep_latest(answer.picture, detection, client)
    return keep_inspection(answer.picture, detection, found, client), answer


@bp.get("/v1/inspections/latest")
def latest() -> ResponseReturnValue:
    """The last inspection that the filter matches.

    Raises:
        InvalidParameter: as ``InspectionFilter.from_query``.
        NoInspection: there is none.
        BackendDown: they can't be read.
    """
    for found in _wanted():
        response = uncached(jsonify(shown_inspection(found)))
        response.add_etag()
        return response.make_conditional(request)  # a screen asks each second
    raise NoInspection("no inspection is kept, or none that was asked for")


@bp.get("/v1/inspections")
def list_all() -> ResponseReturnValue:
    """A page of the inspections that the filter matches, newest first.

    Raises:
        InvalidParameter: as ``InspectionFilter.from_query``, or ``page`` is not valid.
        BackendDown: they can't be read.
    """
    page = page_number(request)
    start = (page - 1) * PAGE
    found = list(islice(_wanted(), start, start + PAGE + 1))
    body: InspectionList = {
        "inspections": [shown_inspection(inspection) for inspection in found[:PAGE]],
        "page": page,
        "more": len(found) > PAGE,
    }
    return uncached(jsonify(body))


@bp.get("/v1/inspections.csv")
def download_csv() -> ResponseReturnValue:
    """The inspections that the filter matches, newest first, a row for each.

    Raises:
        InvalidParameter: as ``InspectionFilter.from_query``.
        BackendDown: they can't be read.
    """
    response = Response(_csv_rows(_wanted()), content_type="text/csv; charset=utf-8")
    name = f"inspections-{datetime.now(UTC):%Y-%m-%d}.csv"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return uncached(response)


@bp.get("/v1/inspections/pictures/<name>")
def picture(name: str) -> ResponseReturnValue:
    """A picture that is kept with an inspection.

    Raises:
        PictureNotFound: none of this name is kept.
    """
    return uncached(picture_response(Services.current().inspections.open_picture(name)))


@bp.get("/v1/inspections/drawn/<inspection_id>")
def drawn(inspection_id: str) -> ResponseReturnValue:
    """The picture of an inspection with what was found drawn on it.

    Raises:
        NoInspection: none has this ID (any more).
        ServiceError: as ``DrawnInspections.open`` does.
    """
    services = Services.current()
    inspection = services.inspections.find(inspection_id)
    if inspection is None:
        raise NoInspection("no inspection is kept, or none that was asked for")
    file = services.drawn_inspections.open(inspection, current_client(), drawn_type(request))
    return drawn_response(file, inspection.detection, name=f"inspection-{inspection.id}")


def _wanted() -> Iterator[Inspection]:
    return Services.current().inspections.newest_first(InspectionFilter.from_query(request.args))


def _csv_rows(found: Iterator[Inspection]) -> Iterator[bytes]:
    first = list(islice(found, 1))  # now: what can't be read is an error, and no table that ends after its head
    return map(csv_row, chain([CSV_COLUMNS], map(csv_cells, chain(first, found))))

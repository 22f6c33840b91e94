"""A detector's answer as a picture with the objects drawn on it: whether a request wants that, and the answer."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from api.core.errors import InvalidParameter
from api.http.parameters import true_or_false
from api.http.stored_picture import picture_response
from contract.messages import DRAWN_TYPES

if TYPE_CHECKING:
    from flask import Request, Response

    from contract.messages import Detection

JPEG, PNG = DRAWN_TYPES
_ENDINGS = {JPEG: "jpg", PNG: "png"}


def wanted_drawing(request: Request) -> str | None:
    """The media type of the drawn picture that a request wants; None if it wants JSON.

    ``draw`` decides where it is sent; otherwise a picture is wanted by who accepts one and prefers it to JSON. It is a
    PNG for who prefers that.

    Raises:
        InvalidParameter: ``draw`` is neither ``true`` nor ``false``.
    """
    draw, accepted = true_or_false(request, "draw"), request.accept_mimetypes
    if draw is None:
        draw = max(accepted.quality(JPEG), accepted.quality(PNG)) > accepted.quality("application/json")
    return drawn_type(request) if draw else None


def drawn_type(request: Request) -> str:
    """A PNG's for who prefers that, and a JPEG's for all others."""
    accepted = request.accept_mimetypes
    return PNG if accepted.quality(PNG) > accepted.quality(JPEG) else JPEG


def refuse_drawing(request: Request) -> None:
    """Raises InvalidParameter: the request wants drawn pictures, which are answered one at a time."""
    if true_or_false(request, "draw"):
        raise InvalidParameter("draw: a batch is answered in JSON; send the pictures to /detect, one by one")


def drawn_response(file: IO[bytes], detection: Detection, *, name: str = "detections") -> Response:
    """The drawn picture in ``file``, which is closed after the answer, with the number of objects on it.

    Args:
        name: of the file, without its ending, for who saves it.
    """
    response = picture_response(file)
    ending = _ENDINGS.get(response.mimetype or "", "")
    response.headers.set("Content-Disposition", "inline", filename=f"{name}.{ending}")
    response.headers["X-Detections"] = str(len(detection.objects))
    response.headers["Cache-Control"] = "no-store"
    return response

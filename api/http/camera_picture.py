"""A picture that the operator's camera takes for a request which has none of its own."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from api.core.camera.parameters import CameraParameters
from api.core.errors import InvalidParameter
from api.http.form_parser import MULTIPART, URL_ENCODED
from api.http.how_to_send import has_body
from api.http.upload import Upload
from contract.image_header import is_animated_gif

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Request

    from api.core.camera.camera import Camera
    from api.core.client import Client

NAMES = tuple(field.name for field in fields(CameraParameters))
FORMS = {MULTIPART, URL_ENCODED, "application/json"}  # of which one without a field is no picture either


def asks_camera(request: Request, camera: Camera, parameters: frozenset[str]) -> bool:
    """Whether a picture is to be taken: there is a camera, and the request has nothing but parameters.

    A request with anything else was to have a picture, of which something has become: a form whose file was not chosen,
    a field of another name, a body of an unknown format. It must not be answered about another picture.

    Args:
        parameters: names of the route's own, beside the camera's.

    Raises:
        InvalidParameter: it says how a picture is to be taken, and has one.
        BrokenForm, RequestEntityTooLarge: as reading the form does.
    """
    if request.files:
        sent = next((name for name in NAMES if name in request.args or name in request.form), None)
        if sent is not None:
            raise InvalidParameter(f"{sent} is for the camera, and this request has a picture of its own")
        return False
    if not camera.is_there or not request.form.keys() <= parameters | set(NAMES):
        return False
    return bool(request.form) or not has_body() or request.mimetype in FORMS


def take_picture(camera: Camera, texts: Mapping[str, str], client: Client) -> Upload:
    """A picture taken after this call, as the parameters among ``texts`` say; as if the client had sent it.

    Raises:
        InvalidParameter: as ``CameraParameters.from_texts``.
        NoCamera, CameraFailed, CameraTimeout, BackendDown: as ``Camera.snapshot``.
        ClientGone: nobody waits for it any more.
    """
    parameters = CameraParameters.from_texts(texts)
    with client.watched():
        picture = camera.snapshot(parameters)
    return Upload(picture, "", is_animated_gif(picture))

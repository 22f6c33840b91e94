"""A picture from the camera, or why there is none: redirects, further tries, and what counts as a picture."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from gevent import sleep

from api import VERSION
from api.core import encoded_picture
from api.core.camera.exchange import answer_of, body_of, tls_context
from api.core.errors import CameraFailed, InvalidUpload, TooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPResponse

    from api.core.camera.address import CameraAddress
    from api.core.camera.parameters import CameraParameters
    from api.core.errors import CameraFault

MOST_REDIRECTS = 3
REDIRECTS = {301, 302, 303, 307, 308}
REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
SERVER_ERRORS = {500, 502, 503, 504}
PASSING: frozenset[CameraFault] = frozenset({"unreachable", "broken_off", "server_error"})  # another try may help
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0
USUAL_HEADERS = {"accept": "image/*", "user-agent": f"image-classifier/{VERSION}"}
OURS = {"accept-encoding": "identity", "connection": "close"}

_NO_PICTURE = re.compile("(text|multipart)/", re.IGNORECASE)
_TYPE = re.compile(r"[\w.+-]{1,40}/[\w.+-]{1,60}", re.ASCII)


class CameraSource:
    """Asks the camera, as often as it takes; what bounds the time is whoever waits.

    Args:
        headers: by their names in lower case; they go to ``address`` and nowhere else.
        retries: further tries after a failure that may pass.
        most_bytes, max_pixels: of a picture.
    """

    def __init__(
        self, address: CameraAddress, headers: Mapping[str, str], *, retries: int, most_bytes: int, max_pixels: int
    ) -> None:
        self._address = address
        self._headers = {"host": address.authority, **USUAL_HEADERS, **headers, **OURS}
        self._tls = tls_context() if address.scheme == "https" else None
        self._pauses_s = [min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**tried) for tried in range(retries)]
        self._most_bytes, self._max_pixels = most_bytes, max_pixels

    def take(self, parameters: CameraParameters) -> bytes:
        """A picture's file, checked as an upload is.

        Raises:
            CameraFailed: the last try has failed, or the first that another would not help.
        """
        target = self._address.target(parameters.as_query())
        for pause_s in self._pauses_s:
            try:
                return self._picture(target)
            except CameraFailed as error:
                if error.fault not in PASSING:
                    raise
            sleep(pause_s)
        return self._picture(target)

    def _picture(self, target: str) -> bytes:
        for _ in range(MOST_REDIRECTS + 1):
            with answer_of(self._address, target, self._headers, tls=self._tls, most_bytes=self._most_bytes) as answer:
                if answer.status not in REDIRECTS:
                    return self._checked(answer)
                target = self._redirected(target, answer)
        raise CameraFailed(f"the camera redirects more than {MOST_REDIRECTS} times", "redirect")

    def _redirected(self, target: str, answer: HTTPResponse) -> str:
        there = self._address.redirected(target, answer.getheader("Location") or "")
        if there is None:
            raise CameraFailed("the camera redirects to another address, which is never asked", "redirect")
        return there

    def _checked(self, answer: HTTPResponse) -> bytes:
        _check_head(answer)
        picture = body_of(answer, self._most_bytes)
        try:
            encoded_picture.check(picture, self._max_pixels)
        except TooLarge as error:
            raise CameraFailed(f"the camera's picture is not taken: {error}", "too_large") from error
        except InvalidUpload as error:
            raise CameraFailed(f"the camera's answer{_of_type(answer)} is no picture: {error}", "no_picture") from error
        return picture


def _check_head(answer: HTTPResponse) -> None:
    """Raises CameraFailed: what follows is no picture."""
    status = answer.status
    if status != HTTPStatus.OK:
        raise CameraFailed(f"the camera answers with the status {status}", _fault_of(status))
    if (answer.getheader("Content-Encoding") or "identity").strip().lower() != "identity":
        raise CameraFailed("the camera's answer is compressed, which was not asked for", "no_picture")
    if _NO_PICTURE.match(answer.getheader("Content-Type") or ""):
        raise CameraFailed(f"the camera's answer{_of_type(answer)} is no picture", "no_picture")


def _fault_of(status: int) -> CameraFault:
    if status in SERVER_ERRORS:
        return "server_error"
    return "refused" if status in REFUSED else "status"


def _of_type(answer: HTTPResponse) -> str:
    found = _TYPE.match(answer.getheader("Content-Type") or "")
    return f" ({found[0]})" if found else ""

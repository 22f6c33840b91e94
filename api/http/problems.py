"""The one table from errors to HTTP."""

from __future__ import annotations

import errno
import json
import logging
import math
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, InternalServerError, RequestEntityTooLarge

from api.core import errors as api_errors
from api.http.cors import is_under
from api.http.problem_document import CONTENT_TYPE, problem_body
from contract import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.wrappers import Response as WerkzeugResponse

    from api.http.schemas import InferenceError

log = logging.getLogger(__name__)

REFUSALS_LOGGED_EVERY_S = 1.0  # an overloaded service must not spend its time on logs
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE}  # no space, or no descriptors, left

BYTES_PER_MB = 1_000_000

BEARER = 'Bearer realm="classifier"'
BASIC = 'Basic realm="classifier", charset="UTF-8"'

STATUS: dict[type[errors.ServiceError], HTTPStatus] = {
    api_errors.MissingFile: HTTPStatus.BAD_REQUEST,
    api_errors.EmptyFile: HTTPStatus.BAD_REQUEST,
    api_errors.TooManyPictures: HTTPStatus.BAD_REQUEST,
    api_errors.BrokenForm: HTTPStatus.BAD_REQUEST,
    api_errors.InvalidParameter: HTTPStatus.BAD_REQUEST,
    api_errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    api_errors.NotAnImage: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    api_errors.Undecodable: HTTPStatus.UNPROCESSABLE_ENTITY,
    api_errors.LinkNeeded: HTTPStatus.FORBIDDEN,
    api_errors.LinkExpired: HTTPStatus.GONE,
    api_errors.Closed: HTTPStatus.FORBIDDEN,
    api_errors.KeyMissing: HTTPStatus.UNAUTHORIZED,
    api_errors.WrongKey: HTTPStatus.UNAUTHORIZED,
    api_errors.KeyNotAllowed: HTTPStatus.FORBIDDEN,
    api_errors.TooManyWrongKeys: HTTPStatus.TOO_MANY_REQUESTS,
    api_errors.WrongHost: HTTPStatus.MISDIRECTED_REQUEST,
    api_errors.CrossOrigin: HTTPStatus.FORBIDDEN,
    api_errors.ClientGone: HTTPStatus.BAD_REQUEST,
    api_errors.Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.OverShare: HTTPStatus.TOO_MANY_REQUESTS,
    api_errors.OverLimit: HTTPStatus.TOO_MANY_REQUESTS,
    api_errors.UnknownModel: HTTPStatus.NOT_FOUND,
    api_errors.OtherTask: HTTPStatus.BAD_REQUEST,
    api_errors.UnknownPattern: HTTPStatus.NOT_FOUND,
    api_errors.NoInspection: HTTPStatus.NOT_FOUND,
    api_errors.PatternMismatch: HTTPStatus.CONFLICT,
    api_errors.ModelNotChanged: HTTPStatus.CONFLICT,
    api_errors.CheckNotFound: HTTPStatus.NOT_FOUND,
    api_errors.NoWorker: HTTPStatus.SERVICE_UNAVAILABLE,
    api_errors.NoCamera: HTTPStatus.BAD_REQUEST,
    api_errors.CameraFailed: HTTPStatus.BAD_GATEWAY,
    api_errors.CameraTimeout: HTTPStatus.GATEWAY_TIMEOUT,
    api_errors.NotAnswering: HTTPStatus.REQUEST_TIMEOUT,
    errors.BackendDown: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreFull: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.PictureLost: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.JobLost: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
    errors.WorkerFault: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.UnknownOutcome: HTTPStatus.BAD_GATEWAY,
    errors.JobNotFound: HTTPStatus.NOT_FOUND,
    errors.JobEnded: HTTPStatus.CONFLICT,
    errors.KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.PictureNotFound: HTTPStatus.NOT_FOUND,
    errors.PictureDeleted: HTTPStatus.GONE,
}


def _challenges() -> list[str]:
    """A browser asks its user for a password at the second, so a page's script and its pictures must not get that one.

    Over plain http browsers send ``Sec-Fetch-Mode`` to this machine only. What they accept tells as much: of a picture
    or a script's request it is less than a page, or none.
    """
    mode, accepted = request.headers.get("Sec-Fetch-Mode"), request.accept_mimetypes
    for_a_page = mode == "navigate" if mode else not accepted or accepted.quality("text/html") == 1
    return [BEARER, BASIC] if for_a_page else [BEARER]


def problem(status: HTTPStatus, detail: str) -> Response:
    """A problem document; under ``/v2``, where clients speak the Open Inference Protocol, that protocol's error."""
    if is_under("/v2"):
        error: InferenceError = {"error": detail}
        return Response(json.dumps(error), status=status, content_type="application/json")
    return Response(json.dumps(problem_body(status, detail)), status=status, content_type=CONTENT_TYPE)


def detail_of(error: HTTPException) -> str:
    """A sentence for the sender; of a body that is too large, with what it has, as far as that is known."""
    if isinstance(error, RequestEntityTooLarge) and error.description == RequestEntityTooLarge.description:
        most = f"{current_app.config['MAX_CONTENT_LENGTH'] // BYTES_PER_MB} MB"
        sent = request.content_length
        if sent is None:
            return f"the request is too large: at most {most} are taken"
        sent_mb = math.ceil(sent / BYTES_PER_MB * 10) / 10
        return f"the request is too large: it has {sent_mb} MB, and at most {most} are taken"
    return error.description or ""


class Problems:
    """Answers errors; one per application.

    Args:
        count_refusal: called for each request that is refused for the time being.
    """

    def __init__(self, count_refusal: Callable[[errors.TemporarilyUnavailable], None]) -> None:
        self._count_refusal = count_refusal
        self._refusals_unlogged = 0
        self._refusals_logged_at = float("-inf")

    def register(self, app: Flask) -> None:
        """Make every route answer errors in the one format."""
        app.extensions["problems"] = self
        app.register_error_handler(errors.ServiceError, self.answer)
        app.register_error_handler(HTTPException, answer_http_exception)
        app.register_error_handler(OSError, self._answer_os_error)
        app.register_error_handler(Exception, answer_bug)

    @classmethod
    def current(cls) -> Self:
        """The one of the application that answers the current request."""
        found = current_app.extensions["problems"]
        assert isinstance(found, cls)  # noqa: S101  # we have put it there
        return found

    def answer(self, error: errors.ServiceError) -> Response:
        """The problem document of one of our own errors."""
        status = STATUS[type(error)]
        response = problem(status, str(error))
        if isinstance(error, errors.TemporarilyUnavailable):
            self._count_refusal(error)
            self._log_refusal(error)
            response.headers["Retry-After"] = str(error.retry_after_s)
        elif status == HTTPStatus.UNAUTHORIZED:
            for challenge in _challenges():
                response.headers.add("WWW-Authenticate", challenge)
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("%s %s: %s: %s", request.method, request.path, type(error).__name__, error)
        return response

    def _log_refusal(self, error: errors.TemporarilyUnavailable) -> None:
        self._refusals_unlogged += 1
        if time.monotonic() - self._refusals_logged_at >= REFUSALS_LOGGED_EVERY_S:
            cause = f" ({error.cause})" if isinstance(error, errors.BackendDown) and error.cause else ""
            log.warning(
                "requests refused: %d; the last: %s: %s%s", self._refusals_unlogged, type(error).__name__, error, cause
            )
            self._refusals_unlogged, self._refusals_logged_at = 0, time.monotonic()

    def _answer_os_error(self, error: OSError) -> Response:
        """A machine without room for an upload at the moment is not a bug."""
        if error.errno in NO_ROOM:
            return self.answer(errors.BackendDown("there is no room for this upload at the moment"))
        return answer_bug(error)


def answer_http_exception(error: HTTPException) -> WerkzeugResponse:
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error.get_response()  # a redirect is not an error
    response = problem(HTTPStatus(error.code), detail_of(error))
    for name, value in error.get_headers():
        if name not in {"Content-Type", "Content-Length"}:
            response.headers[name] = value
    return response


def answer_bug(error: Exception) -> Response:
    log.error("%s %s: unexpected error", request.method, request.path, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, InternalServerError.description)

"""The one table from errors to HTTP, and the one error shape: RFC 9457 ``application/problem+json``."""

from __future__ import annotations

import errno
import json
import logging
import time
from functools import partial
from http import HTTPStatus
from typing import IO, TYPE_CHECKING

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, InternalServerError, RequestEntityTooLarge

from api import errors

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as WerkzeugResponse

    from api.bodies import Problem

log = logging.getLogger(__name__)

DISCARD_BYTES = 256 * 1024


class Refusals:
    """Tells of refused requests once a second: an overloaded service has better things to do than to write logs."""

    EVERY_S = 1.0

    def __init__(self) -> None:
        self._untold = 0
        self._told_at = float("-inf")

    def note(self, error: errors.TemporarilyUnavailable) -> None:
        self._untold += 1
        if time.monotonic() - self._told_at >= self.EVERY_S:
            log.warning("requests refused: %d; the last: %s: %s", self._untold, type(error).__name__, error)
            self._untold, self._told_at = 0, time.monotonic()


refusals = Refusals()

# A browser asks its user for the first; a program sees the second.
ADMIN_CHALLENGES = ('Basic realm="admin", charset="UTF-8"', 'Bearer realm="admin"')

STATUS: dict[type[errors.ApiError], HTTPStatus] = {
    errors.MissingFile: HTTPStatus.BAD_REQUEST,
    errors.TooManyPictures: HTTPStatus.BAD_REQUEST,
    errors.BrokenForm: HTTPStatus.BAD_REQUEST,
    errors.InvalidParameter: HTTPStatus.BAD_REQUEST,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.NotAnImage: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.Undecodable: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NoSuchPicture: HTTPStatus.NOT_FOUND,
    errors.AdminClosed: HTTPStatus.FORBIDDEN,
    errors.WrongAdminKey: HTTPStatus.UNAUTHORIZED,
    errors.NoSuchJob: HTTPStatus.NOT_FOUND,
    errors.JobEnded: HTTPStatus.CONFLICT,
    errors.KeyReusedForAnother: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NoWorker: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.BackendDown: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
    errors.WorkerFault: HTTPStatus.INTERNAL_SERVER_ERROR,
}


def status_of(error: errors.ApiError) -> HTTPStatus:
    return STATUS[type(error)]


def problem_body(status: HTTPStatus, detail: str) -> Problem:
    return {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}


def problem(status: HTTPStatus, detail: str) -> Response:
    return Response(json.dumps(problem_body(status, detail)), status=status, content_type="application/problem+json")


def answer_api_error(error: errors.ApiError) -> Response:
    status = status_of(error)
    if isinstance(error, errors.TemporarilyUnavailable):
        refusals.note(error)
        g.refusal = type(error)  # for the metrics
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("%s %s: %s: %s", request.method, request.path, type(error).__name__, error)
    response = problem(status, str(error))
    if isinstance(error, errors.TemporarilyUnavailable):
        response.headers["Retry-After"] = str(error.retry_after_s)
        response.call_on_close(partial(_discard, request.environ["wsgi.input"]))
    elif isinstance(error, errors.WrongAdminKey):
        for challenge in ADMIN_CHALLENGES:
            response.headers.add("WWW-Authenticate", challenge)
    return response


def _discard(body: IO[bytes]) -> None:
    """Take the rest of a refused request off its connection, once the answer is out, so that it serves the next one.

    gunicorn does it too, a kilobyte at a time, each time copying what it has read ahead: half of a refusal's cost.
    """
    while body.read(DISCARD_BYTES):
        pass


def answer_http_exception(error: HTTPException) -> WerkzeugResponse:
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error.get_response()  # a redirect is no problem
    response = problem(HTTPStatus(error.code), detail_of(error))
    for name, value in error.get_headers():
        if name not in {"Content-Type", "Content-Length"}:
            response.headers[name] = value
    return response


def detail_of(error: HTTPException) -> str:
    if isinstance(error, RequestEntityTooLarge):
        return "the request has more bytes than this service takes"
    return error.description or ""


NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE}  # no space, or no descriptors, left


def answer_os_error(error: OSError) -> Response:
    """A machine without room for an upload at the moment is no bug."""
    if error.errno in NO_ROOM:
        return answer_api_error(
            errors.BackendDown("there is no room for this upload at the moment", errors.RETRY_SOON_S)
        )
    return answer_bug(error)


def answer_bug(error: Exception) -> Response:
    log.error("%s %s: unexpected error", request.method, request.path, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, InternalServerError.description)


def register(app: Flask) -> None:
    """Make every route answer its errors in the one shape."""
    app.register_error_handler(errors.ApiError, answer_api_error)
    app.register_error_handler(HTTPException, answer_http_exception)
    app.register_error_handler(OSError, answer_os_error)
    app.register_error_handler(Exception, answer_bug)

"""Every answer has its request's ID, and the request log learns what only the application knows of the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request

from api.http.caller import current_caller
from api.http.request_id import HEADER, request_id
from api.http.request_log import ROUTE, SENDER

if TYPE_CHECKING:
    from flask import Response


def add_request_id(response: Response) -> Response:
    """Name the current request in its answer, and leave its route and its sender for the log."""
    asked = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  # as in api.metrics.recorder
    if asked.url_rule is not None:
        asked.environ[ROUTE] = asked.url_rule.rule
    asked.environ[SENDER] = current_caller().sender
    response.headers[HEADER] = request_id(asked.environ)
    return response

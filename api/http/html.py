"""Whether a client is a person's browser, and errors as pages for those that are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request

from api.http.problems import Problems

if TYPE_CHECKING:
    from flask import Response

    from contract.errors import ServiceError


def prefers_json() -> bool:
    """Whether the client rather reads JSON than a page; one that does not care gets the page."""
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


def in_words(error: ServiceError, page: str) -> Response:
    """What a program gets for this error, with a page for a person in place of the problem document."""
    response = Problems.current().answer(error)
    response.set_data(page)
    response.content_type = "text/html; charset=utf-8"
    return response

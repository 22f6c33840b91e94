"""Whether a client wants a page or JSON, and errors as pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import render_template, request

from api.core.errors import KeyMissing, WrongKey
from api.http.problems import Problems

if TYPE_CHECKING:
    from flask import Response

    from contract.errors import ServiceError


def prefers_json() -> bool:
    """Whether the client prefers JSON to a page; without a preference it gets the page."""
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


def prefers_page() -> bool:
    """Whether the client prefers a page to JSON, as a browser does; without a preference it gets JSON."""
    accepted = request.accept_mimetypes
    return accepted.quality("text/html") > accepted.quality("application/json")


def answer_as_page(error: ServiceError) -> Response:
    """The problem document or, for a client that prefers pages, such as a browser, the same as a page."""
    accepted = request.accept_mimetypes
    if accepted.quality("text/html") > accepted.quality("application/problem+json"):
        needs_key = isinstance(error, KeyMissing | WrongKey)
        return in_words(error, render_template("error.html", error=error, needs_key=needs_key))
    return Problems.current().answer(error)


def in_words(error: ServiceError, page: str) -> Response:
    """The error's usual answer, but with ``page`` as its body in place of the problem document."""
    response = Problems.current().answer(error)
    response.set_data(page)
    response.content_type = "text/html; charset=utf-8"
    return response

"""The one error format: RFC 9457 ``application/problem+json``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from http import HTTPStatus

    from api.http.schemas import Problem

CONTENT_TYPE = "application/problem+json"


def problem_body(status: HTTPStatus, detail: str) -> Problem:
    """The document; ``detail`` is a sentence for the sender."""
    return {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}

"""The few fields of a request that brings no picture: of a JSON object, a form, or the query."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import RequestEntityTooLarge

from api.core.errors import BrokenForm
from api.http.receiving import receiving, whole

if TYPE_CHECKING:
    from flask import Request

MOST_KB = 64


def fields_of(request: Request) -> dict[str, str]:
    """All of them as texts that UTF-8 can hold; numbers in JSON as they are written, null as if it was not there.

    Raises:
        BrokenForm: the body is no JSON object, or one with more in it than texts and numbers; or it did not come as it
            should.
        RequestEntityTooLarge: it has more than ``MOST_KB``.
        Overloaded: other bodies take the memory for it.
    """
    request.max_content_length = MOST_KB * 1024
    try:
        data = _received(request) if request.is_json else b""
        if not data:
            return {**request.args.to_dict(), **request.form.to_dict()}
    except RequestEntityTooLarge as error:
        raise RequestEntityTooLarge(f"the request is too large: at most {MOST_KB} kB are taken here") from error
    fields = request.args.to_dict()
    for name, value in _parsed(data).items():
        if isinstance(value, bool | list | dict):
            raise BrokenForm(f"the field {name[:40]!r} is neither a text nor a number")
        if value is not None:
            fields[name] = str(value).encode(errors="replace").decode()  # half a surrogate pair can't be written
    return fields


def _received(request: Request) -> bytes:
    with receiving(request.stream, request.environ, request.content_length) as (stream, _):
        return whole(stream)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BrokenForm("the body is no JSON object")
    return body

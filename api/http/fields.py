"""The few fields of a request that brings no picture: of a JSON object, a form, or the query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.core.errors import BrokenForm

if TYPE_CHECKING:
    from flask import Request

MOST_BYTES = 64 * 1024


def fields_of(request: Request) -> dict[str, str]:
    """All of them as texts; numbers in JSON as they are written, null as if it was not there.

    Raises:
        BrokenForm: the body is no JSON object, or one with more in it than texts and numbers.
        RequestEntityTooLarge: it has more than ``MOST_BYTES``.
    """
    request.max_content_length = MOST_BYTES
    if not request.is_json:
        return {**request.args.to_dict(), **request.form.to_dict()}
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise BrokenForm("the body is no JSON object")
    fields = request.args.to_dict()
    for name, value in body.items():
        if isinstance(value, bool | list | dict):
            raise BrokenForm(f"the field {name[:40]!r} is neither a text nor a number")
        if value is not None:
            fields[name] = str(value)
    return fields

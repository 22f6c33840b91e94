"""What a sender is told whose request has no picture: what came, and the line that works.

Names that a sender chose are shown in ASCII, few of them, and cut: the text also goes into a header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request

from api.http.picture_body import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES_SHOWN = 5
LONGEST_SHOWN = 40  # characters of a name

MANGLED = (
    "this was a picture before curl's -d (or --data) took the zeros and line ends out of it: "
    "send it with --data-binary in place of -d"
)


def line_that_works() -> str:
    """For the current request's address."""
    return f"curl -F file=@photo.jpg {ascii(request.base_url)[1:-1]}"


def missing_picture() -> str:
    """What the current request has in place of a picture; its form has been read."""
    return f"the request has no picture: {_came()}; this works: {line_that_works()}"


def has_body() -> bool:
    """Whether the current request has one, of any length but 0."""
    return bool(request.content_length) or (request.content_length is None and _is_chunked())


def _came() -> str:
    files, texts = request.files, request.form
    if any(name in files for name in FIELDS):
        return "no file was chosen in its form"
    forgotten = next((name for name in FIELDS if name in texts), None)
    if forgotten is not None and request.mimetype == "multipart/form-data":
        return f"its field '{forgotten}' is a text and no file, which in curl's -F has an @ before its name"
    if not has_body():
        return "it came without a body"
    kind = f"it came as {ascii(request.mimetype[:LONGEST_SHOWN])[1:-1] or 'no type'}"
    names = [*files, *texts]
    if names:
        *fields, last = FIELDS
        return f"{kind} with the fields {_listed(names)}; it is expected in {_listed(fields)} or '{last}'"
    return f"{kind}, and its body does not begin as a picture of a supported format does"


def _is_chunked() -> bool:
    return bool(request.environ.get("wsgi.input_terminated")) and "HTTP_TRANSFER_ENCODING" in request.environ


def _listed(names: Iterable[str]) -> str:
    first, *others = names = list(names)
    shown = ", ".join(ascii(name[:LONGEST_SHOWN]) for name in [first, *others][:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown

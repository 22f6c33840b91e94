"""A stored picture as an answer: sent piece by piece, so that one who does not read it holds no more than a piece."""

from __future__ import annotations

import os
from functools import partial
from http import HTTPStatus
from typing import IO, TYPE_CHECKING

from flask import Response, request

from contract.image_header import media_type

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE_BYTES = 64 * 1024


def picture_response(file: IO[bytes], *, name: str = "") -> Response:
    """The picture in ``file``, from where that is on; it is closed after the answer.

    Args:
        name: an ETag. To a client that has the picture of this name already the answer is a 304.
    """
    start = file.tell()
    first = file.read(PIECE_BYTES)
    response = Response(_pieces(first, file), content_type=media_type(first) or "application/octet-stream")
    response.content_length = file.seek(0, os.SEEK_END) - start
    file.seek(start + len(first))
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"  # never run as a page
    if name:
        response.set_etag(name)
        response.make_conditional(request)
    if response.status_code == HTTPStatus.NOT_MODIFIED or request.method == "HEAD":
        file.close()  # no piece is asked for
    return response


def _pieces(first: bytes, file: IO[bytes]) -> Iterator[bytes]:
    with file:
        yield first
        yield from iter(partial(file.read, PIECE_BYTES), b"")

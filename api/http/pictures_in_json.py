"""A JSON answer with pictures in base64, sent piece by piece: one who does not read it holds no more than a piece."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from flask import Response

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PIECE_BYTES = 48 * 1024  # a multiple of three: only the last one's base64 is filled up


def json_with_pictures(body: Mapping[str, Any], key: str, pictures: Mapping[str, IO[bytes]]) -> Response:
    """``body`` with one more key, under which the pictures are, each as a text in base64.

    Args:
        pictures: files, from where they are on; they are closed after the answer.
    """
    texts = [f"{json.dumps({**body, key: {}}, separators=(',', ':'))[:-2]}"]
    for number, name in enumerate(pictures):
        texts[-1] += f'{"," if number else ""}{json.dumps(name)}:"'
        texts.append('"')
    texts[-1] += "}}"
    files = list(pictures.values())
    response = Response(_pieces(texts, files), content_type="application/json")
    response.content_length = sum(map(len, texts)) + sum(-(-_left_bytes(file) // 3) * 4 for file in files)
    for file in files:
        response.call_on_close(file.close)  # of an answer that nobody has read to its end
    return response


def _left_bytes(file: IO[bytes]) -> int:
    here = file.tell()
    left = file.seek(0, os.SEEK_END) - here
    file.seek(here)
    return left


def _pieces(texts: list[str], files: list[IO[bytes]]) -> Iterator[bytes]:
    first, *others = (text.encode() for text in texts)  # JSON as we write it is ASCII
    yield first
    for file, text in zip(files, others, strict=True):
        with file:
            yield from map(b64encode, iter(partial(file.read, PIECE_BYTES), b""))
        yield text

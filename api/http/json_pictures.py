"""Pictures in JSON, as base64: ``{"image": "/9j/4AAQ...", "top_k": 3}``.

Only what is small is read as JSON. The long strings, which are pictures, are found in the body and decoded from there,
piece by piece: there is the body, and one copy of each picture.
"""

from __future__ import annotations

import json
import os
import re
import time
from binascii import a2b_base64
from io import BytesIO
from typing import TYPE_CHECKING, Any

from api.core.errors import BrokenForm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Texts = list[tuple[str, str]]
    Pictures = list[tuple[str, bytes]]

LONGEST_SHORT = 1024  # bytes of a string that is left where it is
LONGEST_REST = 64 * 1024  # bytes of all that is no long string: JSON takes many times its size once it is read
PIECE = 64 * 1024  # bytes of base64
LONGEST_ESCAPE = 6  # bytes, as of "\\u002F"
NAMES = ("model",)  # fields in which a number, or true, would be mistaken for a name
SHOWN = 40  # characters of a field's name

# Neither form of it goes back over what it has read, so that a string without an end costs no more than its length.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BLANKS = b" \t\r\n"
_DATA_URL = re.compile(rb"\s*data:[^,]{0,200};base64,", re.IGNORECASE)

BASE64_LINE = '{"image": "<the picture in base64>"}'
BASE64_LINES = '{"images": ["<a picture in base64>"]}'


class NotBase64(ValueError):
    """A text is no base64."""


def read_json(
    body: bytes, picture_fields: tuple[str, ...], take: Callable[[int], None], most: int
) -> tuple[Texts, Pictures]:
    """The fields of a JSON object: its pictures, and the others.

    Args:
        picture_fields: where pictures are: a text, or in one whose name ends in "s" a list of texts.
        take: called with the size of each picture before it is decoded; what it raises is passed on.
        most: pictures and other fields together.

    Raises:
        BrokenForm: it is no JSON, or no object; it has too much beside its pictures, or one that is no base64.
    """
    rest, long = _cut_out(body)
    try:
        document = json.loads(rest, strict=False)  # a line break in a string is one that base64 may have
    except (ValueError, RecursionError) as error:
        raise BrokenForm("the JSON can't be read: it is not well-formed") from error
    if not isinstance(document, dict):
        raise BrokenForm(f"the JSON is no object: {BASE64_LINE} is taken")
    _check_number(document, most)
    texts: Texts = []
    pictures: Pictures = []
    for name, value in document.items():
        if value is None:  # how some languages write what was not set
            continue
        if name not in picture_fields:
            texts.append((name, _as_in_a_form(name, value)))
            continue
        several = name.endswith("s")
        if several and not isinstance(value, list):
            raise BrokenForm(f"the field {_shown(name)} is no list: {BASE64_LINES} is taken")
        for text in value if several else [value]:
            if not isinstance(text, str):
                raise BrokenForm(f"the field {_shown(name)} is no text: {BASE64_LINE} is taken")
            try:
                pictures.append((name, _decoded(*_found(text, body, long), take)))
            except ValueError as error:
                raise BrokenForm(
                    f"the field {_shown(name)} is no base64, nor a data URL with it: {BASE64_LINE} is taken"
                ) from error
    return texts, pictures


def _cut_out(body: bytes) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """The body with a mark in place of each long string, and where these are by their marks, with their quotes.

    The marks are drawn anew for each body: a sender who knew them could have one string decoded a thousand times.
    """
    rest, long, drawn = bytearray(), dict[str, tuple[int, int]](), os.urandom(8).hex()
    kept_to, position = 0, body.find(b'"')
    while position >= 0:
        start, end = position, _end_of_string(body, position)
        _check_rest(len(rest) + start - kept_to)
        if end - start > LONGEST_SHORT:
            mark = f"#{drawn}-{len(long)}"  # no base64
            rest += body[kept_to:start] + f'"{mark}"'.encode()
            long[mark] = start, end
            kept_to = end
        position = body.find(b'"', end)
    _check_rest(len(rest) + len(body) - kept_to)
    return bytes(rest + body[kept_to:]), long


def _end_of_string(body: bytes, start: int) -> int:
    end = body.find(b'"', start + 1) + 1
    if end and body[end - 2 : end - 1] != b"\\":
        return end  # no other escape hides a quote; and found at a hundredth of the price
    found = _STRING.match(body, start)
    if found is None:
        raise BrokenForm("the JSON can't be read: it ends in the middle of a text")
    return found.end()


def _check_rest(size_bytes: int) -> None:
    if size_bytes > LONGEST_REST:
        raise BrokenForm(f"the JSON can't be read: it has more than {LONGEST_REST} bytes beside its pictures")


def _check_number(document: dict[str, Any], most: int) -> None:
    if sum(len(value) if isinstance(value, list) else 1 for value in document.values()) > most:
        raise BrokenForm(f"the JSON can't be read: it has more than {most} pictures and other fields")


def _found(text: str, body: bytes, long: dict[str, tuple[int, int]]) -> tuple[memoryview, bool]:
    """A string's bytes, where it was cut out, there; and whether there are escapes in them, as of ``/`` and ``+``.

    Raises:
        ValueError: its bytes are no text.
    """
    if text not in long:
        return memoryview(text.encode()), False
    start, end = long[text]
    return memoryview(body)[start + 1 : end - 1], body.find(b"\\", start, end) >= 0


def _decoded(text: memoryview, escaped: bool, take: Callable[[int], None]) -> bytes:
    """What base64 stands for: of either alphabet, with blanks or without, as a data URL or alone.

    Raises:
        ValueError: it is none.
    """
    url = _DATA_URL.match(text)
    if url:
        text = text[url.end() :]
    take(len(text) * 3 // 4)
    picture, left = BytesIO(), b""
    for piece in _pieces(text, escaped=escaped):
        if b"=" in left and piece.strip(b"="):
            raise NotBase64("there is something behind its end")
        left += piece
        if b"=" not in left:
            whole = len(left) - len(left) % 4
            picture.write(a2b_base64(left[:whole], strict_mode=True))
            left = left[whole:]
        elif len(left) > 2 * PIECE:
            raise NotBase64("its end has no end")
    left = left.rstrip(b"=")
    picture.write(a2b_base64(left + b"=" * (-len(left) % 4), strict_mode=True))
    return picture.getvalue()


def _pieces(text: memoryview, *, escaped: bool) -> Iterator[bytes]:
    """Raises ValueError: there are bytes or escapes in it that stand for no text."""
    start = 0
    while start < len(text):
        piece = bytes(text[start : start + PIECE])
        if escaped and start + PIECE < len(text):
            begun = piece.rfind(b"\\", PIECE - LONGEST_ESCAPE + 1)
            piece = piece[:begun] if begun >= 0 else piece  # what may go on in the next piece is left to it
        start += len(piece)
        if escaped:
            piece = json.loads(f'"{piece.decode()}"', strict=False).encode()
        yield piece.translate(_URL_SAFE, _BLANKS)
        time.sleep(0)  # a large picture must not keep this process' other requests waiting


def _as_in_a_form(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if name in NAMES:
        raise BrokenForm(f"the field {_shown(name)} is no text")
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON has no other numbers than JavaScript's
    return json.dumps(value) if isinstance(value, int | float) else "[...]"  # which no parameter can be


def _shown(name: str) -> str:
    return ascii(name[:SHOWN])

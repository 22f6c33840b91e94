"""A JSON body with pictures in it, as base64.

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

LONGEST_SHORT = 1024  # bytes of a string that is left where it is
LONGEST_REST = 64 * 1024  # bytes of all that is no long string: JSON takes many times its size once it is read
PIECE = 64 * 1024  # bytes of base64
LONGEST_ESCAPE = 6  # bytes, as of "\\u002F"

# Neither form of it goes back over what it has read, so that a string without an end costs no more than its length.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BLANKS = b" \t\r\n"
_DATA_URL = re.compile(rb"\s*data:[^,]{0,200};base64,", re.IGNORECASE)


class NotBase64(ValueError):
    """A text is no base64."""


class JsonBody:
    """A body that is read.

    Attributes:
        document: what it says, with a mark in place of each long string.

    Raises:
        BrokenForm: it is no JSON, or has too much beside its long strings.
    """

    document: Any

    def __init__(self, body: bytes) -> None:
        self._body = body
        rest, self._long = _cut_out(body)
        try:
            self.document = json.loads(rest, strict=False)  # a line break in a string is one that base64 may have
        except (ValueError, RecursionError) as error:
            raise BrokenForm("the JSON can't be read: it is not well-formed") from error

    def is_long(self, text: str) -> bool:
        """Whether a string of the document is but the mark of a long one."""
        return text in self._long

    def decoded(self, text: str, take: Callable[[int], None]) -> bytes:
        """What one of the document's strings stands for as base64: of either alphabet, with blanks or without.

        Args:
            take: called with the size in bytes before it is decoded; what it raises is passed on.

        Raises:
            ValueError: it is no base64, nor a data URL with it.
        """
        return _decoded(*self._found(text), take)

    def _found(self, text: str) -> tuple[memoryview, bool]:
        """A string's bytes, where it was cut out, there; and whether there are escapes in them, as of ``/`` and ``+``.

        Raises:
            ValueError: its bytes are no text.
        """
        if text not in self._long:
            return memoryview(text.encode()), False
        start, end = self._long[text]
        return memoryview(self._body)[start + 1 : end - 1], self._body.find(b"\\", start, end) >= 0


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

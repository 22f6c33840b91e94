"""What the camera is told beside the address, from files: a setting's value is seen by more people than a file's text.

No message of here quotes what a file holds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Headers = dict[str, str]  # by their names in lower case

MOST_BYTES = 16_384
OURS = {
    *("host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive"),
    *("accept-encoding", "range", "proxy-connection"),
}  # what frames the request, or the picture

_TOKEN = re.compile("[!-~]+")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")


def read_token(path: Path) -> str:
    """The first line of a file.

    Raises:
        ValueError: the file can't be read, or the line is no token.
    """
    lines = _text(path).splitlines()
    token = lines[0].strip() if lines else ""
    if not _TOKEN.fullmatch(token):
        raise ValueError("its first line must be a token of printable ASCII characters, without spaces")
    return token


def read_headers(path: Path) -> Headers:
    """A file's lines of ``Name: value``; empty lines and those that begin with ``#`` say nothing.

    Raises:
        ValueError: the file can't be read, or a line is no header, sent twice, or one that the service writes itself.
    """
    found: Headers = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not (colon and _NAME.fullmatch(name) and _VALUE.fullmatch(value.strip())):
            raise ValueError(f"line {number} must be Name: value, in printable ASCII characters")
        if name.lower() in OURS:
            raise ValueError(f"line {number}: the service writes this header itself")
        if name.lower() in found:
            raise ValueError(f"line {number}: this header is there already")
        found[name.lower()] = value.strip()
    return found


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES} bytes")
        return data.decode("ascii")
    except OSError as error:
        raise ValueError(f"it can't be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ValueError("it has other characters than those of ASCII") from None

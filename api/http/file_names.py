"""What the sender of a form calls a file and a field, as well as can be told; for display only.

Browsers and most programs write names in UTF-8. Others use the character set of their system, or put the name into
``filename*`` (RFC 5987), alone or beside a plain one. None of that is a reason to refuse a picture.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from multipart import MultipartSegment

# A name and a value, which may stand between quotes.
_PARAMETER = re.compile(r';\s*([^\s;="]+)\s*=\s*("(?:\\.|[^"\\])*"|[^;]*)')
# Those that RFC 5987 asks for, the latter as browsers read it, and a common one; others are guessed.
_DECLARED = {"utf-8": "utf-8", "iso-8859-1": "cp1252", "shift_jis": "cp932"}

# Bytes that every second letter in Shift-JIS starts with. In Western names they are quotation marks and dashes: one
# happens, as in an apostrophe.
_JAPANESE = re.compile(rb"[\x81-\x9f].*[\x81-\x9f]", re.DOTALL)

# Control characters, also for the direction of writing: they would show another name, or none.
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def field_name(part: MultipartSegment) -> str:
    """The name of a form's field; empty if it has none. ``part`` is parsed with Latin-1 headers, as ``file_name``'s."""
    return _text((part.name or "").encode("latin-1"))


def file_name(part: MultipartSegment) -> str | None:
    """What the sender calls the file in ``part``, or None if that is no file. Control characters are replaced.

    Args:
        part: parsed with Latin-1 headers, so that each character stands for one byte of whatever was sent.
    """
    header = part.header("Content-Disposition", "")
    extended = _value("filename*", header)
    if extended is not None:  # precedes a plain one (RFC 6266, 4.3)
        name = _extended_text(extended)
    else:
        plain = _value("filename", header) if part.filename is None else part.filename
        if plain is None:
            return None
        name = _text(plain.encode("latin-1"))
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", name)


def _value(parameter: str, header: str) -> str | None:
    """The first of its name, without its quotes."""
    found = (value for name, value in _PARAMETER.findall(header) if name.lower() == parameter)
    value: str | None = next(found, None)
    return None if value is None else value.strip(' \t"')


def _extended_text(value: str) -> str:
    """A character set, a language and percent-encoded bytes, with apostrophes between them; or just the latter."""
    charset, _, language_and_rest = value.partition("'")
    _, apostrophe, encoded = language_and_rest.partition("'")
    if not apostrophe:
        charset, encoded = "", value
    name = unquote_to_bytes(encoded.encode("latin-1"))
    declared = _DECLARED.get(charset.strip().lower())
    return name.decode(declared, errors="replace") if declared else _text(name)


def _text(name: bytes) -> str:
    """UTF-8 if it is that; otherwise the character set of a Japanese or of a Western system."""
    for charset in ("utf-8", "cp932", "cp1252") if _JAPANESE.search(name) else ("utf-8", "cp1252"):
        try:
            return name.decode(charset)
        except UnicodeDecodeError:
            continue
    return name.decode("latin-1")

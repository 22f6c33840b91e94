"""Pictures in JSON, as base64: ``{"image": "/9j/4AAQ...", "top_k": 3}``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from api.core.errors import BrokenForm
from api.http.json_body import JsonBody

if TYPE_CHECKING:
    from collections.abc import Callable

    Texts = list[tuple[str, str]]
    Pictures = list[tuple[str, bytes]]

LISTS = ("labels",)  # fields that may be lists of texts
NAMES = ("model", "pattern", *LISTS)  # fields in which a number, or true, would be mistaken for a name
SHOWN = 40  # characters of a field's name

BASE64_LINE = '{"image": "<the picture in base64>"}'
BASE64_LINES = '{"images": ["<a picture in base64>"]}'


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
    read = JsonBody(body)
    document = read.document
    if not isinstance(document, dict):
        raise BrokenForm(f"the JSON is no object: {BASE64_LINE} is taken")
    _check_number(document, most)
    texts: Texts = []
    pictures: Pictures = []
    for name, value in document.items():
        if value is None:  # how some languages write what was not set
            continue
        if name not in picture_fields:
            texts += [(name, _as_in_a_form(name, one)) for one in _each(name, value)]
            continue
        several = name.endswith("s")
        if several and not isinstance(value, list):
            raise BrokenForm(f"the field {_shown(name)} is no list: {BASE64_LINES} is taken")
        for text in value if several else [value]:
            if not isinstance(text, str):
                raise BrokenForm(f"the field {_shown(name)} is no text: {BASE64_LINE} is taken")
            try:
                pictures.append((name, read.decoded(text, take)))
            except ValueError as error:
                raise BrokenForm(
                    f"the field {_shown(name)} is no base64, nor a data URL with it: {BASE64_LINE} is taken"
                ) from error
    return texts, pictures


def _check_number(document: dict[str, Any], most: int) -> None:
    if sum(len(value) if isinstance(value, list) else 1 for value in document.values()) > most:
        raise BrokenForm(f"the JSON can't be read: it has more than {most} pictures and other fields")


def _each(name: str, value: Any) -> list[Any]:
    return value if name in LISTS and isinstance(value, list) else [value]


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

"""What is wrong with a value, in words of our own: pydantic's are about its types, and change with its versions."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

CLOSE = 0.8  # of difflib's ratio: TOPK is as close as 0.89 to TOP_K
KINDS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "on or off",
    str: "text",
    Path: "a path",
    SecretStr: "text",
}
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text in quotes",
    "model": "an object in braces",
    "dict": "an object in braces",
    "list": "a list in brackets",
    "tuple": "a list in brackets",
}
_FAULTS = {
    "missing": "is missing",
    "extra_forbidden": "nobody knows this field",
    "json_invalid": "it is no JSON: {error}",
    "literal_error": "must be {expected}",
    "too_long": "must have {max_length} entries",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be below {lt}",
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}, not '{tag}'",
    "union_tag_not_found": "{discriminator} is missing",
}


class Wanted(NamedTuple):
    """What a field must be, said by its annotation where its type and bounds do not say it; follows "must be"."""

    words: str


def wanted(field: FieldInfo) -> str:
    """What a setting must be, as one phrase: "a whole number from 1 to 100"."""
    for entry in field.metadata:
        if isinstance(entry, Wanted):
            return entry.words
    if get_origin(field.annotation) is Literal:
        return one_of(get_args(field.annotation))
    types = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not NoneType]
    return KINDS.get(types[0], "something else") + _range(field.metadata)


def one_of(values: Iterable[object]) -> str:
    """As in: a, b or c."""
    return _joined(values, "or")


def all_of(values: Iterable[object]) -> str:
    """As in: a, b and c."""
    return _joined(values, "and")


def nearest(word: str, known: Iterable[str], *, close: float = CLOSE) -> str | None:
    """The known word that may have been meant."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=close)), None)


def said_by_validator(error: ErrorDetails) -> str | None:
    """The message of a ValueError of ours; None if the fault was found by pydantic."""
    return str(error["ctx"]["error"]) if error["type"] == "value_error" else None


def in_words(error: ErrorDetails) -> str:
    """What is wrong with a value in a JSON file, without the value; a sentence without its beginning."""
    kind = error["type"]
    if kind in _FAULTS:
        return _FAULTS[kind].format(**error.get("ctx", {}))
    return said_by_validator(error) or f"must be {_TYPES.get(kind.split('_')[0], 'something else')}"


def _joined(values: Iterable[object], word: str) -> str:
    *most, last = map(str, values)
    return f"{', '.join(most)} {word} {last}" if most else last


def _range(bounds: Iterable[object]) -> str:
    """What follows the kind of number, as ``, at least 1``, by what annotated-types' marks say."""
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    found = {name: value for mark in bounds for name in words if (value := getattr(mark, name, None)) is not None}
    if found.keys() == {"ge", "le"}:
        return f" from {found['ge']} to {found['le']}"
    if found.keys() == {"ge"}:
        return f", at least {found['ge']}"
    said = " and ".join(f"{words[name]} {value}" for name, value in found.items())
    return f" {said}" if said else ""

"""The body of the replaced system's ``/check-pattern``: boxes, their classes, and a pattern or its key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from werkzeug.exceptions import RequestEntityTooLarge

from api.core.errors import BrokenForm, InvalidParameter
from api.http.receiving import receiving, whole
from contract.messages import MOST_OBJECTS
from contract.patterns.fields import LARGEST_CLASS_ID, WrongFields, is_class_id, pattern_set
from contract.patterns.pattern import RelativeBox
from contract.patterns.placement import PlacedObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Request

    from api.core.patterns import Patterns
    from contract.patterns.pattern import PatternSet

LEAST_EDGE, LARGEST_EDGE = -1, 2  # a box may reach beyond the picture; pixels, which would never fit, are refused
MOST_KB = 256  # as much as a pattern file
MOST_PAIRS = 100_000  # of a box and an expected object: they are compared while nobody else is served


@dataclass(frozen=True, slots=True)
class PatternCheck:
    """``boxes`` are relative to the picture, each of the class of the same place in ``class_ids``."""

    boxes: tuple[RelativeBox, ...]
    class_ids: tuple[int, ...]
    patterns: PatternSet

    @classmethod
    def from_request(cls, request: Request, patterns: Patterns) -> Self:
        """Read the body.

        Raises:
            BrokenForm: it is no JSON object, or did not come as it should.
            InvalidParameter: a field is missing or wrong; or no pattern is named, and there are several.
            UnknownPattern: there is no pattern of this key.
            RequestEntityTooLarge: Werkzeug's; it has more than ``MOST_KB``.
            Overloaded, OverLimit: as ``receiving``.
        """
        body = _object(_received(request))
        boxes, class_ids = body.get("coordinates"), body.get("class_ids")
        if not isinstance(boxes, list) or not all(map(_is_box, boxes)):
            raise InvalidParameter(
                "coordinates must be a list of boxes: left, top, right and bottom, as fractions of the picture's width "
                f"and height, {LEAST_EDGE} to {LARGEST_EDGE}"
            )
        if not isinstance(class_ids, list) or not all(map(is_class_id, class_ids)):
            raise InvalidParameter(f"class_ids must be a list of whole numbers from 0 to {LARGEST_CLASS_ID}")
        if len(boxes) != len(class_ids) or len(boxes) > MOST_OBJECTS:
            raise InvalidParameter(f"coordinates and class_ids must be of one length, {MOST_OBJECTS} at most")
        found = _patterns(body, patterns)
        expected = sum(len(pattern.objects) for pattern in found.patterns)
        if len(boxes) * expected > MOST_PAIRS:
            raise InvalidParameter(
                f"{len(boxes)} boxes and patterns with {expected} objects are too many to compare: their product "
                f"may be {MOST_PAIRS}"
            )
        return cls(tuple(RelativeBox(*box) for box in boxes), tuple(class_ids), found)

    def objects(self, labels: Sequence[str]) -> tuple[PlacedObject, ...]:
        """What lies where.

        Args:
            labels: of the classes, by index, as far as they are known.
        """
        return tuple(
            PlacedObject(index, labels[index] if index < len(labels) else None, box)
            for index, box in zip(self.class_ids, self.boxes, strict=True)
        )


def _received(request: Request) -> bytes:
    request.max_content_length = MOST_KB * 1024
    try:
        with receiving(request.stream, request.environ, request.content_length) as (stream, _):
            return whole(stream)
    except RequestEntityTooLarge as error:
        raise RequestEntityTooLarge(f"the request is too large: at most {MOST_KB} kB are taken here") from error


def _object(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BrokenForm("the body is no JSON object")
    return body


def _patterns(body: dict[str, Any], patterns: Patterns) -> PatternSet:
    key, own = body.get("pattern_key"), body.get("pattern")
    if own is not None:
        try:
            return pattern_set("pattern", own)
        except WrongFields as error:
            raise InvalidParameter(f"pattern: {error.lines[0]}") from error
    if key is not None and not isinstance(key, str):
        raise InvalidParameter("pattern_key must be a text")
    return patterns.named(key)


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == len(RelativeBox._fields) and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and LEAST_EDGE <= value <= LARGEST_EDGE

"""The parameters of an inspection, in the form or in the query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from api.http.detection_parameters import WantedObjects, bounds_of, within_bounds
from api.http.parameters import min_score_of, model_of, sent, strict_of
from contract.model_task import ModelTask

if TYPE_CHECKING:
    from flask import Request

    from api.core.labels import LabelLookup
    from api.core.patterns import Patterns
    from contract.patterns.pattern import PatternSet

NAMES = frozenset({"model", "pattern", "min_score", "strict"})
USUAL_MIN_SCORE = 0.5  # of an object that counts; of a model whose least is higher, that


@dataclass(frozen=True, slots=True)
class WantedInspection:
    """What is to be found in the picture, and what it is held against."""

    objects: WantedObjects
    patterns: PatternSet

    @classmethod
    def from_request(cls, request: Request, lookup: LabelLookup, patterns: Patterns) -> Self:
        """Read the parameters.

        Raises:
            InvalidParameter: as ``WantedObjects.from_request``; or there are several sets of patterns, and ``pattern``
                says nothing.
            UnknownPattern, PatternMismatch: as ``Patterns.of``.
            UnknownModel, OtherTask, NoWorker, BackendDown: as ``LabelLookup.of``.
            BrokenForm, RequestEntityTooLarge: as reading the form does.
        """
        model, strict = model_of(request), strict_of(request)
        min_score = min_score_of(request)
        keys = sent(request, "pattern")
        known = lookup.of(model, ModelTask.DETECTION)
        found = patterns.of(keys[0] if keys else None, known)
        if min_score is None:
            min_score = max(USUAL_MIN_SCORE, bounds_of(known).min_score)
        objects = WantedObjects(model, within_bounds(min_score, known), None, frozenset(), strict)
        return cls(objects, found)

"""The parameters of an inspection, in the form or in the query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from api.core.errors import Overloaded, PatternMismatch
from api.core.patterns import demand_same_objects
from api.http.detection_parameters import WantedObjects, bounds_of, within_bounds
from api.http.parameters import min_score_in, model_of, sent, strict_of
from contract.model_task import ModelTask
from contract.model_version import ModelVersion

if TYPE_CHECKING:
    from flask import Request

    from api.core.inference import Answer
    from api.core.labels import LabelList, LabelLookup
    from api.core.patterns import Patterns
    from contract.messages import Detection
    from contract.patterns.pattern import PatternSet

NAMES = frozenset({"model", "pattern", "min_score", "strict"})
USUAL_MIN_SCORE = 0.5  # of an object that counts; of a model whose least is higher, that


@dataclass(frozen=True, slots=True)
class WantedInspection:
    """What is to be found in the picture, and what it is held against.

    Attributes:
        known: the labels of the model that was asked for, which know all classes of ``patterns``.
    """

    objects: WantedObjects
    patterns: PatternSet
    known: LabelList

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
        scores = [min_score_in(text) for text in sent(request, "min_score")]
        keys = sent(request, "pattern")
        known = lookup.of(model, ModelTask.DETECTION)
        found = patterns.of(keys[0] if keys else None, known)
        min_scores = [within_bounds(score, known) for score in scores]
        least = min_scores[0] if min_scores else max(USUAL_MIN_SCORE, bounds_of(known).min_score)
        objects = WantedObjects(model, least, None, frozenset(), strict)
        return cls(objects, found, known)

    def demand_same_objects(self, answer: Answer[Detection], lookup: LabelLookup) -> None:
        """See that what has answered knows the same classes: it may be another version, or the fallback.

        Raises:
            PatternMismatch: as ``patterns.demand_same_objects``.
            Overloaded: likewise, of the fallback, which can't stand for the model that has too much to do.
            NoWorker, BackendDown: as ``LabelLookup.of_answer``.
        """
        found = answer.found
        if found.digest == self.known.digest:
            return
        answered = lookup.of_answer(ModelVersion(found.model, found.version), found.digest)
        try:
            demand_same_objects(self.patterns, self.objects.min_score, self.known, answered)
        except PatternMismatch as error:
            if answer.fallback:
                raise Overloaded(f"{self.known.model} has too much to do at the moment, and {error}") from error
            raise

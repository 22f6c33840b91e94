"""The parameters of a request to a detector, in the form or in the query, and the objects that they let through.

The answer that is kept has all objects that the model answers with: what a request wants of them is chosen here, so one
computation serves every wish.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from api.core.errors import InvalidParameter, NoWorker
from api.core.inference import Asked
from api.http.parameters import SCORE_DECIMALS, min_score_in, model_of, sent, strict_of, whole_number
from contract.errors import RETRY_SOON_S
from contract.messages import DetectJob
from contract.model_task import ModelTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flask import Request

    from api.core.labels import LabelList, LabelLookup, ObjectBounds
    from api.http.schemas import Detected, DetectedObject, Sides
    from contract.async_jobs import JobRequest
    from contract.messages import Box, Detection
    from contract.messages import DetectedObject as Found
    from contract.model_version import WantedModel

PIXEL_DECIMALS = 2


class _Wishes(NamedTuple):
    """Parameters that depend on the model; the numbers and labels as they were sent."""

    min_score: Sequence[float]
    max_detections: Sequence[str]
    labels: Sequence[str]


@dataclass(frozen=True, slots=True)
class WantedObjects:
    """Which objects the sender wants to be answered.

    Attributes:
        model: which is to answer; None for the default.
        min_score: the lowest score shown; 0 for all that the model answers with.
        max_detections: the number of objects at most, the best ones; None for all.
        labels: the labels shown, in the bundle's own spelling; all if it is empty.
        strict: whether a damaged picture is refused; otherwise what is there of it is looked at.
    """

    model: WantedModel | None
    min_score: float
    max_detections: int | None
    labels: frozenset[str]
    strict: bool

    @classmethod
    def from_request(cls, request: Request, lookup: LabelLookup) -> Self:
        """Read the parameters; without them, all objects that the model answers with are wanted.

        Args:
            lookup: of the models' labels and bounds, which is asked only if they matter.

        Raises:
            InvalidParameter: ``model`` can't be a model's name, ``min_score`` is not from the model's own least score
                to 1, ``max_detections`` is no whole number from 1 to its most objects, one of ``labels`` is none of its
                labels, or ``strict`` is neither ``true`` nor ``false``.
            UnknownModel, OtherTask, NoWorker, BackendDown: as ``LabelLookup.of``.
            BrokenForm, RequestEntityTooLarge: as reading the form does.
        """
        scores = [min_score_in(text) for text in sent(request, "min_score")]
        wishes = _Wishes(scores, sent(request, "max_detections"), sent(request, "labels"))
        return cls._checked(wishes, model_of(request), lookup, strict=strict_of(request))

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any], model: WantedModel, lookup: LabelLookup) -> Self:
        """As ``from_request``, of JSON: numbers, or texts as a form has them.

        Raises:
            InvalidParameter, UnknownModel, OtherTask, NoWorker, BackendDown: as ``from_request``.
        """
        wishes = _Wishes(
            [min_score_in(text) for text in _texts(parameters, "min_score")],
            _texts(parameters, "max_detections"),
            _texts(parameters, "labels"),
        )
        return cls._checked(wishes, model, lookup, strict=True)

    @classmethod
    def _checked(cls, wishes: _Wishes, model: WantedModel | None, lookup: LabelLookup, *, strict: bool) -> Self:
        scores, most, texts = wishes
        labels = [words for text in texts for words in text.split(",") if words.strip()]
        if not scores and not most and not labels:
            return cls(model, 0.0, None, frozenset(), strict)
        known = lookup.of(model, ModelTask.DETECTION)
        min_scores = [within_bounds(score, known) for score in scores]
        most_objects = [whole_number("max_detections", raw, bounds_of(known).most) for raw in most]
        return cls(
            model,
            min_scores[0] if min_scores else 0.0,
            most_objects[0] if most_objects else None,
            frozenset(_label(words, known) for words in labels),
            strict,
        )

    @property
    def asked(self) -> Asked[Detection]:
        return Asked(DetectJob, self.model, self.strict)


def chosen(found: Detection, wanted: WantedObjects | JobRequest) -> Detection:
    """What was found, with the wanted objects only, best first.

    Scores are rounded as shown before they are compared with ``min_score``.
    """
    objects = (
        entry
        for entry in found.objects
        if (not wanted.labels or entry.label in wanted.labels)
        and round(entry.score, SCORE_DECIMALS) >= wanted.min_score
    )
    return replace(found, objects=tuple(islice(objects, wanted.max_detections)))


def bounds_of(known: LabelList) -> ObjectBounds:
    """Raises NoWorker: nobody has told them yet."""
    if known.objects is None:
        raise NoWorker("no worker has said yet what this model answers with", RETRY_SOON_S)
    return known.objects


def within_bounds(min_score: float, known: LabelList) -> float:
    """The score again.

    Raises:
        InvalidParameter: it is below the model's own least.
        NoWorker: as ``bounds_of``.
    """
    least = bounds_of(known).min_score
    if min_score < least:
        raise InvalidParameter(
            f"min_score must be a number from {least:g} to 1: below that {known.model} has no answers"
        )
    return min_score


def detected(found: Detection, wanted: WantedObjects | JobRequest, *, animated: bool) -> Detected:
    """``inference_time_ms`` is a worker's time for the answer, for this request or for an earlier one.

    Args:
        animated: whether the picture is an animated GIF, whose first frame alone was looked at.
    """
    timings = found.timings_ms
    body: Detected = {
        "detections": [shown_object(entry) for entry in chosen(found, wanted).objects],
        "image": {"width": found.width, "height": found.height},
        "inference_time_ms": round(timings.decode + timings.infer, 1),
    }
    if not wanted.strict:
        body["damaged"] = found.damaged
    if animated:
        body["first_frame_only"] = True
    return body


def shown_object(entry: Found) -> DetectedObject:
    """An object as answers have it."""
    return {
        "label": entry.label,
        "class_id": entry.index,
        "confidence": round(entry.score, SCORE_DECIMALS),
        "box": _sides(entry.box),
    }


def _texts(parameters: Mapping[str, Any], name: str) -> list[str]:
    """Raises InvalidParameter: it is there, and neither a number nor a text."""
    value = parameters.get(name)
    if value is None:
        return []
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidParameter(f"{name} must be a number or a text")
    return [str(value)]


def _sides(box: Box) -> Sides:
    return {
        "x": round(box.left, PIXEL_DECIMALS),
        "y": round(box.top, PIXEL_DECIMALS),
        "width": round(box.right - box.left, PIXEL_DECIMALS),
        "height": round(box.bottom - box.top, PIXEL_DECIMALS),
    }


def _label(words: str, known: LabelList) -> str:
    label = known.meant_by(words)
    if label not in known.labels:
        raise InvalidParameter(f"labels: {known.model} has no label {words.strip()[:40]!a}; GET /labels lists its own")
    return label

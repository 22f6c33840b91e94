"""Answers as the upload page shows them: a model's best labels, or the objects in the picture."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from api.core.labels import in_words
from api.http.detection_parameters import shown_object
from api.http.parameters import SCORE_DECIMALS
from api.http.picture_address import address_of
from api.http.response_headers import elapsed_ms
from contract.model_version import WantedModel

if TYPE_CHECKING:
    from api.core.inference import Answer
    from api.core.labels import LabelLookup
    from api.http.schemas import DetectedObject, Shown, ShownObjects
    from contract.messages import Classification, Detection

LABELS_SHOWN = 5
LEAST_SCORE = 0.5  # of the objects that are in sight until the page's visitor chooses another


def shown_labels(answer: Answer[Classification], *, animated: bool) -> Shown:
    """``elapsed_ms`` is counted from the request's first line.

    Args:
        animated: whether the picture is an animated GIF, whose first frame alone was classified.
    """
    found = answer.found
    best = found.labels[:LABELS_SHOWN]
    body: Shown = {
        "image": answer.picture,
        "display": address_of(answer.picture),
        "model": found.model,
        "version": found.version,
        "digest": found.digest,
        "predictions": [{"label": entry.label, "score": round(entry.score, SCORE_DECIMALS)} for entry in best],
        "cache": answer.cache,
        "elapsed_ms": round(elapsed_ms(), 1),
    }
    if animated:
        body["first_frame_only"] = True
    return body


def shown_objects(answer: Answer[Detection], lookup: LabelLookup, *, animated: bool) -> ShownObjects:
    """All objects that the model answers with; ``min_score`` is the least score that these can have.

    Args:
        lookup: of what the model answers with.
        animated: whether the picture is an animated GIF, whose first frame alone was looked at.
    """
    found = answer.found
    known = lookup.of_or_none(WantedModel(found.model, found.version))
    body: ShownObjects = {
        "image": answer.picture,
        "display": address_of(answer.picture),
        "model": found.model,
        "version": found.version,
        "digest": found.digest,
        "detections": [shown_object(entry) for entry in found.objects],
        "size": {"width": found.width, "height": found.height},
        "min_score": known.objects.min_score if known is not None and known.objects is not None else 0.0,
        "cache": answer.cache,
        "elapsed_ms": round(elapsed_ms(), 1),
    }
    if animated:
        body["first_frame_only"] = True
    return body


@dataclass(frozen=True, slots=True)
class Sight:
    """What the page itself says of an answer; with a script the visitor can have it say more, or less, of objects.

    Attributes:
        title: the best label, or what there is how often.
        listed: the objects in sight, best first; none of a classifier's answer.
        drawn: the same, the largest first, so that no box lies under a larger one.
        least_score: theirs, as a whole number of per cent.
    """

    title: str = ""
    listed: tuple[DetectedObject, ...] = ()
    drawn: tuple[DetectedObject, ...] = ()
    least_score: int = round(LEAST_SCORE * 100)

    @classmethod
    def of(cls, shown: Shown | ShownObjects | None) -> Self:
        """``shown`` is None on a page without an answer."""
        if shown is None:
            return cls()
        if "predictions" in shown:
            return cls(in_words(shown["predictions"][0]["label"]))
        listed = [entry for entry in shown["detections"] if entry["confidence"] >= LEAST_SCORE]
        return cls(_title(listed, len(shown["detections"])), tuple(listed), tuple(sorted(listed, key=_area)))


def _title(listed: list[DetectedObject], of: int) -> str:
    if not listed:
        return f"Nothing at {LEAST_SCORE:.0%} or above" if of else "No objects found"
    counted = Counter(in_words(entry["label"]) for entry in listed)
    return ", ".join(label if count == 1 else f"{label} × {count}" for label, count in counted.items())  # noqa: RUF001


def _area(entry: DetectedObject) -> float:
    """Negative: the largest come first."""
    return -entry["box"]["width"] * entry["box"]["height"]

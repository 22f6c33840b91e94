"""Which of the objects that a detector finds are wanted."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from contract.wording import nearest
from model.errors import BundleError

if TYPE_CHECKING:
    from contract.messages import Detection
    from model.detection.detector import Detector

USUAL_MIN_SCORE = 0.5
SCORE_DECIMALS = 4  # as they are shown


def least_score(asked: float | None, detector: Detector) -> float:
    """What was asked for; if nothing was, the usual one, or the detector's own least if that is higher."""
    return asked if asked is not None else max(USUAL_MIN_SCORE, detector.spec.min_score)


class WantedObjects(NamedTuple):
    """Which objects of a picture count.

    Attributes:
        min_score: those with a lower score do not; scores are rounded as shown before they are compared with it.
        labels: those of other labels do not; empty: of all.
        most: of the rest, the best ones; None: all.
    """

    min_score: float
    labels: tuple[str, ...] = ()
    most: int | None = None

    def check(self, detector: Detector) -> None:
        """Raises BundleError: the detector has no such objects."""
        bundle, spec = detector.bundle, detector.spec
        if self.min_score < spec.min_score:
            raise BundleError(
                f"{bundle.model} tells no object with a score below {spec.min_score:g}: --min-score is lower"
            )
        if self.most is not None and self.most > spec.max_objects:
            raise BundleError(
                f"{bundle.model} tells at most {spec.max_objects} objects of a picture: --max-detections is higher"
            )
        for label in self.labels:
            if label not in bundle.labels:
                meant = nearest(label, bundle.labels)
                hint = f"; {meant!r} may be meant" if meant else ""
                raise BundleError(f"{bundle.model} has no label {label!r}{hint}")

    def of(self, detection: Detection) -> Detection:
        """The same picture with those objects alone."""
        wanted = (
            found
            for found in detection.objects
            if round(found.score, SCORE_DECIMALS) >= self.min_score and (not self.labels or found.label in self.labels)
        )
        return replace(detection, objects=tuple(islice(wanted, self.most)))

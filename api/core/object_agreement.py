"""How far two detectors find the same objects: what a check of one finds, since nobody has said what pictures show."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.core.check_report import NAMED_LABELS, AnswerSet, Findings
from api.core.labels import in_words
from contract.checks import Compared
from contract.messages import Detection
from contract.overlap import iou

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.core.replay import Question
    from contract.messages import Answer, DetectedObject

COUNTS_FROM = 0.5  # score of an object, as in an inspection that says no other
MOST_COMPARED = 100  # objects of a picture, the best: each of one version with each of the other
LEAST_IOU = 0.5  # of the same object: The PASCAL Visual Object Classes (VOC) Challenge, IJCV 88 (2010), 4.2
LEAST_AGREEMENT = 0.9  # of each version's objects that the other has to find too
LEAST_OBJECTS = 100  # of the current version: fewer say little


@dataclass(slots=True, kw_only=True)
class ObjectSet(AnswerSet):
    """Counts objects; those of a version that gave no answer are none."""

    objects_current: int = 0
    objects_candidate: int = 0
    matched: int = 0
    labels: set[str] = field(default_factory=set)  # of the current version's objects

    def compared(self) -> Compared | None:
        if not self.pictures:
            return None
        return Compared(
            pictures=self.pictures,
            left_out=self.left_out,
            agreed=self.agreed,
            objects_current=self.objects_current,
            objects_candidate=self.objects_candidate,
            matched=self.matched,
        )

    def _compare(self, question: Question, current: Answer | None, candidate: Answer | None) -> None:
        ours, theirs = _objects(current), _objects(candidate)
        pairs = matches(ours, theirs)
        self.objects_current += len(ours)
        self.objects_candidate += len(theirs)
        self.matched += len(pairs)
        self.labels.update(entry.label for entry in ours)
        of_ours, of_theirs = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
        alone = [entry for place, entry in enumerate(ours) if place not in of_ours]
        new = [entry for place, entry in enumerate(theirs) if place not in of_theirs]
        agreed = None not in (current, candidate) and not alone and not new
        self.agreed += agreed
        if not agreed:
            self._disagreed(question, _named(alone), _named(new))


class ObjectFindings(Findings[ObjectSet]):
    """Of two detectors: the candidate fails if it finds others than the current version."""

    def _worse(self) -> list[str]:
        counted = self.labelled
        enough = counted.matched >= LEAST_AGREEMENT * max(counted.objects_current, counted.objects_candidate)
        return [] if enough else [f"it finds others: {self._shares()}; {LEAST_AGREEMENT:.0%} of each are needed"]

    def _not_worse(self) -> str:
        return f"it finds the same: {self._shares()}"

    def _shares(self) -> str:
        counted = self.labelled
        return (
            f"{counted.matched} of {counted.objects_current} objects of {self.current} "
            f"({_per_cent(counted.matched, counted.objects_current)}) and of {counted.objects_candidate} of its own "
            f"({_per_cent(counted.matched, counted.objects_candidate)}) are found by both"
        )


def matches(ours: Sequence[DetectedObject], theirs: Sequence[DetectedObject]) -> list[tuple[int, int]]:
    """The places of the objects that are the same in both, each once.

    Each of ``theirs``, best first, is that of the same label which it overlaps most, by ``LEAST_IOU`` at least.
    """
    left = dict(enumerate(ours))
    found = []
    for place, entry in enumerate(theirs):
        alike = {
            other: iou(entry.box, their.box)
            for other, their in left.items()
            if in_words(their.label) == in_words(entry.label)
        }
        best = max(alike, key=alike.__getitem__, default=None)
        if best is not None and alike[best] >= LEAST_IOU:
            del left[best]
            found.append((best, place))
    return found


def _objects(answer: Answer | None) -> list[DetectedObject]:
    """Those that count, best first."""
    found = answer.objects if isinstance(answer, Detection) else ()
    return [entry for entry in found if entry.score >= COUNTS_FROM][:MOST_COMPARED]


def _named(objects: Sequence[DetectedObject]) -> str:
    """Their labels, as "2 red, blue"; "" for none."""
    counted = Counter(entry.label for entry in objects)
    names = [label if number == 1 else f"{number} {label}" for label, number in counted.items()]
    return ", ".join([*names[:NAMED_LABELS], *(["..."] if len(names) > NAMED_LABELS else [])])


def _per_cent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none"

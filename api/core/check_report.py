"""What a check finds: the figures of each set of pictures as the answers come in, and the verdict."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Generic, TypeVar

from api.core.labels import in_words
from api.core.paired import Difference, paired_difference, percentile
from contract.checks import Compared, Disagreed, Report
from contract.messages import Classification

if TYPE_CHECKING:
    from collections.abc import Collection

    from api.core.replay import Question, Replayed
    from contract.messages import Answer
    from contract.model_version import ModelVersion

MOST_DISAGREEMENTS = 1000  # that are kept: those of labelled pictures first
NAMED_LABELS = 5  # in a sentence
P99 = 0.99

Counted = TypeVar("Counted", bound="AnswerSet")


@dataclass(slots=True, kw_only=True)
class AnswerSet(ABC):
    """Counts what came of one set of pictures; the fields are those of ``Compared``."""

    pictures: int = 0
    left_out: int = 0
    agreed: int = 0
    disagreements: list[Disagreed] = field(default_factory=list)

    def add(self, replayed: Replayed) -> None:
        """A version that gave no answer is not right, has found nothing, and agrees with nobody."""
        if replayed.answers is None:
            self.left_out += 1
            return
        self.pictures += 1
        self._compare(replayed.question, *replayed.answers)

    @abstractmethod
    def compared(self) -> Compared | None:
        """None if there were no pictures."""

    @abstractmethod
    def _compare(self, question: Question, current: Answer | None, candidate: Answer | None) -> None:
        """Count one picture's answers."""

    def _disagreed(self, question: Question, current: str, candidate: str) -> None:
        if len(self.disagreements) < MOST_DISAGREEMENTS:
            expected = question.expected.shown if question.expected is not None else ""
            self.disagreements.append(
                Disagreed(picture=question.picture, expected=expected, current=current, candidate=candidate)
            )


@dataclass(slots=True, kw_only=True)
class PictureSet(AnswerSet):
    """Of classifiers, whose answers are labels; ``labelled`` once a picture's label is known."""

    labelled: bool = False
    both_right: int = 0
    only_current: int = 0
    only_candidate: int = 0

    def _compare(self, question: Question, current: Answer | None, candidate: Answer | None) -> None:
        ours, theirs = _best(current), _best(candidate)
        agreed = in_words(ours) == in_words(theirs)
        self.agreed += agreed
        expected = question.expected
        if expected is not None:
            self.labelled = True
            right = (bool(ours) and ours == expected.current, bool(theirs) and theirs == expected.candidate)
            self.both_right += right == (True, True)
            self.only_current += right == (True, False)
            self.only_candidate += right == (False, True)
        if not agreed:
            self._disagreed(question, ours, theirs)

    @property
    def right_current(self) -> int:
        return self.both_right + self.only_current

    @property
    def right_candidate(self) -> int:
        return self.both_right + self.only_candidate

    @property
    def difference(self) -> Difference:
        return paired_difference(self.pictures, self.only_current, self.only_candidate)

    def compared(self) -> Compared | None:
        if not self.pictures:
            return None
        if not self.labelled:
            return Compared(pictures=self.pictures, agreed=self.agreed, left_out=self.left_out)
        difference = self.difference
        return Compared(
            pictures=self.pictures,
            left_out=self.left_out,
            agreed=self.agreed,
            right_current=self.right_current,
            right_candidate=self.right_candidate,
            only_current=self.only_current,
            only_candidate=self.only_candidate,
            difference=round(difference.value, 6),
            low=round(difference.low, 6),
            high=round(difference.high, 6),
        )


@dataclass(slots=True)
class ServiceTimes:
    """A worker's time for each picture, in milliseconds, of the pictures that both versions have answered."""

    current: list[float] = field(default_factory=list)
    candidate: list[float] = field(default_factory=list)

    def add(self, replayed: Replayed) -> None:
        """A picture that one of them alone has answered says nothing of their difference."""
        if replayed.answers is None:
            return
        current, candidate = replayed.answers
        if current is not None and candidate is not None:
            self.current.append(current.timings_ms.decode + current.timings_ms.infer)
            self.candidate.append(candidate.timings_ms.decode + candidate.timings_ms.infer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings(ABC, Generic[Counted]):
    """All that a report is made of.

    Attributes:
        labelled: the operator's pictures, which decide.
        missing: labels of the current version that the candidate lacks.
        used: labels of the current version that labelled pictures have.
        slower_ratio: of the mean times, above which a candidate fails.
    """

    current: ModelVersion
    labelled: Counted
    feedback: Counted
    stored: Counted
    times: ServiceTimes
    missing: tuple[str, ...]
    used: Collection[str]
    slower_ratio: float

    def report(self) -> Report:
        """The verdict with all figures; both versions have answered some of the operator's pictures."""
        labelled = self.labelled.compared()
        assert labelled is not None  # noqa: S101  # see above
        means = fmean(self.times.current), fmean(self.times.candidate)
        faults = [*self._worse(), *self._slower(*means), *self._lacking()]
        sets = (self.labelled, self.feedback, self.stored)
        disagreements = [one for pictures in sets for one in pictures.disagreements]
        return Report(
            passed=not faults,
            verdict="; ".join(faults) if faults else self._good(*means),
            labelled=labelled,
            feedback=self.feedback.compared(),
            stored=self.stored.compared(),
            mean_ms_current=round(means[0], 3),
            mean_ms_candidate=round(means[1], 3),
            p99_ms_current=round(percentile(self.times.current, P99), 3),
            p99_ms_candidate=round(percentile(self.times.candidate, P99), 3),
            missing_labels=self.missing,
            disagreements=tuple(disagreements[:MOST_DISAGREEMENTS]),
        )

    @abstractmethod
    def _worse(self) -> list[str]:
        """What makes the candidate fail by its answers, each in a sentence."""

    @abstractmethod
    def _not_worse(self) -> str:
        """That nothing does, with figures."""

    def _slower(self, current_ms: float, candidate_ms: float) -> list[str]:
        if candidate_ms <= self.slower_ratio * current_ms:
            return []
        took = f"{candidate_ms:.1f} ms a picture, {self.current} {current_ms:.1f} ms"
        return [f"it is slower: {took}, of which it may take {self.slower_ratio:g} times"]

    def _lacking(self) -> list[str]:
        lacking = [label for label in self.missing if label in self.used]
        if not lacking:
            return []
        more = f" and {len(lacking) - NAMED_LABELS} more" if len(lacking) > NAMED_LABELS else ""
        return [f"it lacks labels that are needed: {', '.join(lacking[:NAMED_LABELS])}{more}"]

    def _good(self, current_ms: float, candidate_ms: float) -> str:
        return f"{self._not_worse()}; {candidate_ms:.1f} ms a picture, {self.current} {current_ms:.1f} ms"


class LabelFindings(Findings[PictureSet]):
    """Of two classifiers: the one that gets fewer labels right is worse."""

    def _worse(self) -> list[str]:
        return [f"it is worse: {self._accuracies()}"] if self.labelled.difference.high < 0 else []

    def _not_worse(self) -> str:
        return f"it is not worse: {self._accuracies()}"

    def _accuracies(self) -> str:
        labelled, difference = self.labelled, self.labelled.difference
        return (
            f"{labelled.right_candidate} of {labelled.pictures} labelled pictures right, {self.current} "
            f"{labelled.right_current}, which is {100 * difference.value:+.1f} points "
            f"(95% interval {100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
        )


def _best(answer: Answer | None) -> str:
    return answer.labels[0].label if isinstance(answer, Classification) else ""

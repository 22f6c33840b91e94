"""What two versions call the same thing: which label each has for a person's words, and which one of them lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.core.labels import in_words

if TYPE_CHECKING:
    from api.core.labels import LabelList


@dataclass(frozen=True, slots=True)
class Expected:
    """The label that is right for each of the two; "" for one that has no such label."""

    current: str
    candidate: str

    @property
    def known(self) -> bool:
        """Whether either of them could get it right."""
        return bool(self.current or self.candidate)

    @property
    def shown(self) -> str:
        return self.current or self.candidate


class ExpectedLabels:
    """Of the current version and of its candidate."""

    def __init__(self, current: LabelList, candidate: LabelList) -> None:
        self._lists = (current, candidate)
        self._exact = (frozenset(current.labels), frozenset(candidate.labels))
        self._known: dict[str, Expected] = {}

    def of(self, words: str) -> Expected:
        """What a person's words mean, as ``LabelList.meant_by`` finds it."""
        if words not in self._known:
            self._known[words] = Expected(*(self._meant(which, words) for which in range(2)))
        return self._known[words]

    def missing(self) -> tuple[str, ...]:
        """The labels of the current version that the candidate lacks, in order of their classes."""
        current, candidate = self._lists
        there = {in_words(label) for label in candidate.labels}
        return tuple(dict.fromkeys(label for label in current.labels if in_words(label) not in there))

    def _meant(self, which: int, words: str) -> str:
        exact = self._exact[which]
        label = words if words in exact else self._lists[which].meant_by(words)
        return label if label in exact else ""

"""Patterns: where the objects of a good part lie in its picture. Plain values, which ``fields`` makes once checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from contract.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_TOLD = 20  # lines of a message
ALIKE = 0.6  # of difflib's ratio: labels are words, and one of them is meant


class BadPattern(Exception):
    """Something is wrong with a pattern, or several things: ``lines`` says them all, the message the first of them."""

    def __init__(self, *lines: str) -> None:
        more = [f"... and {len(lines) - MOST_TOLD} more"] if len(lines) > MOST_TOLD else []
        super().__init__("\n".join([*lines[:MOST_TOLD], *more]))
        self.lines = lines


class RelativeBox(NamedTuple):
    """In fractions of the picture's width and height, from its upper left corner; 0 to 1."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class ExpectedObject:
    """An object of a class that is named by exactly one of ``class_id`` and ``label``, and where it may lie.

    Each of its edges may lie between that edge of ``inner`` and that of ``outer``. Where an object is smaller than the
    way that it may be moved, ``inner`` is crossed: its left edge is to the right of its right one.
    """

    inner: RelativeBox
    outer: RelativeBox
    class_id: int | None = None
    label: str | None = None

    @property
    def class_name(self) -> str:
        """For people."""
        return self.label if self.label is not None else f"class {self.class_id}"

    def is_of_class(self, class_id: int, label: str | None) -> bool:
        """Whether an object of this class, by its index among the model's and its label, is of the expected one."""
        return self.class_id == class_id if self.label is None else self.label == label


@dataclass(frozen=True, slots=True)
class Pattern:
    """Objects that are all there in a good part, one at least."""

    name: str
    objects: tuple[ExpectedObject, ...]


@dataclass(frozen=True, slots=True)
class PatternSet:
    """Patterns, one at least, of which a good part has one: as of a left and of a right hand."""

    key: str
    patterns: tuple[Pattern, ...]


def check_classes(patterns: PatternSet, labels: Sequence[str]) -> None:
    """Hold the classes that the patterns name against those of a model.

    Args:
        labels: the model's, by class index.

    Raises:
        BadPattern: the model does not know one of them.
    """
    faults = list(_unknown_classes(patterns, labels))
    if faults:
        raise BadPattern(*faults)


def _unknown_classes(patterns: PatternSet, labels: Sequence[str]) -> Iterator[str]:
    known = set(labels)
    for pattern in patterns.patterns:
        for number, expected in enumerate(pattern.objects, 1):
            place = f"{patterns.key}: {pattern.name}, object {number}"
            if expected.label is not None and expected.label not in known:
                meant = nearest(expected.label, known, close=ALIKE)
                hint = f"; {meant!r} may be meant" if meant else ""
                yield f"{place}: the model has no label {expected.label!r}{hint}"
            if expected.class_id is not None and expected.class_id >= len(labels):
                yield f"{place}: the model has no class {expected.class_id}: its classes are 0 to {len(labels) - 1}"

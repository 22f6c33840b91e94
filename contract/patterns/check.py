"""Whether a picture shows what a set of patterns expects, and what of it does not lie where it should."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from contract.patterns.placement import offset, placed_objects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contract.messages import Detection
    from contract.patterns.pattern import ExpectedObject, Pattern, PatternSet
    from contract.patterns.placement import Offset, PlacedObject

State = Literal["found", "missing", "out of place"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one expected object.

    Attributes:
        index: of the object in the picture that is it, or that is of its class and lies elsewhere; None if missing.
        offset: how far that object is out of place; None if it is not.
    """

    expected: ExpectedObject
    state: State
    index: int | None = None
    offset: Offset | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a picture compares with the pattern that fits it best.

    Attributes:
        decision: whether all expected objects were found.
        findings: one for each expected object, in the pattern's order.
        surplus: indices of the objects in the picture that are none of the expected ones; they change no decision.
    """

    decision: bool
    pattern: str
    findings: tuple[Finding, ...]
    surplus: tuple[int, ...]

    def count(self, state: State) -> int:
        """How many of the expected objects are so."""
        return sum(finding.state == state for finding in self.findings)


def check(patterns: PatternSet, detection: Detection) -> Verdict:
    """Compare the objects of a picture with each of the patterns.

    An expected object is found when an object of its class lies, with every edge, between ``inner`` and ``outer``. Each
    object of the picture is at most one of the expected ones. What is then not found is out of place if an object of
    its class is left; otherwise it is missing.

    Returns:
        The verdict by the best pattern: a whole one if there is one, then the one with most objects found, fewest
        missing, and least out of place; the first of equals.
    """
    objects = placed_objects(detection)
    return max((_verdict(pattern, objects) for pattern in patterns.patterns), key=_rank)


def _rank(verdict: Verdict) -> tuple[float, ...]:
    far = sum(finding.offset.largest for finding in verdict.findings if finding.offset is not None)
    return verdict.decision, verdict.count("found"), -verdict.count("missing"), -far


def _verdict(pattern: Pattern, objects: Sequence[PlacedObject]) -> Verdict:
    offsets = [
        {
            index: offset(expected, placed.box)
            for index, placed in enumerate(objects)
            if expected.is_of_class(placed.class_id, placed.label)
        }
        for expected in pattern.objects
    ]
    found = _found(offsets)
    elsewhere = _elsewhere(offsets, found)
    findings = tuple(
        Finding(expected, "found", found[number])
        if number in found
        else Finding(expected, "out of place", elsewhere[number], offsets[number][elsewhere[number]])
        if number in elsewhere
        else Finding(expected, "missing")
        for number, expected in enumerate(pattern.objects)
    )
    taken = {*found.values(), *elsewhere.values()}
    surplus = tuple(index for index in range(len(objects)) if index not in taken)
    return Verdict(len(found) == len(pattern.objects), pattern.name, findings, surplus)


def _found(offsets: Sequence[dict[int, Offset]]) -> dict[int, int]:
    """Of as many expected objects as can be found at once, by number, the index of the object that each of them is."""
    fitting = [[index for index, off in each.items() if off.largest == 0] for each in offsets]
    taken: dict[int, int] = {}  # by index, whose it is

    def find(number: int, tried: set[int]) -> bool:
        for index in fitting[number]:
            if index not in tried:
                tried.add(index)
                if index not in taken or find(taken[index], tried):  # or who has it finds another one
                    taken[index] = number
                    return True
        return False

    for number in range(len(fitting)):
        find(number, set())
    return {number: index for index, number in taken.items()}


def _elsewhere(offsets: Sequence[dict[int, Offset]], found: dict[int, int]) -> dict[int, int]:
    """Of those that are not found, by number, the nearest object that is left; the nearest pairs come first."""
    left = set(found.values())
    pairs = sorted(
        (off.largest, number, index)
        for number, each in enumerate(offsets)
        if number not in found
        for index, off in each.items()
        if index not in left
    )
    chosen: dict[int, int] = {}
    for _, number, index in pairs:
        if number not in chosen and index not in left:
            chosen[number] = index
            left.add(index)
    return chosen

"""Whether a picture shows what a set of patterns expects, and what of it does not lie where it should."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from contract.patterns.placement import beyond, offset, placed_objects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from contract.messages import Detection
    from contract.patterns.pattern import ExpectedObject, Pattern, PatternSet
    from contract.patterns.placement import Offset, PlacedObject

Distances = dict[int, float]
"""By index, how far objects of an expected one's class are from where it may lie, as ``beyond`` says."""
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
    of_class: dict[int | str | None, list[int]] = defaultdict(list)
    for index, placed in enumerate(objects):
        of_class[placed.class_id].append(index)
        of_class[placed.label].append(index)
    return max((_verdict(pattern, objects, of_class) for pattern in patterns.patterns), key=_rank)


def _rank(verdict: Verdict) -> tuple[float, ...]:
    far = sum(max(map(abs, finding.offset)) for finding in verdict.findings if finding.offset is not None)
    return verdict.decision, verdict.count("found"), -verdict.count("missing"), -far


def _verdict(
    pattern: Pattern, objects: Sequence[PlacedObject], of_class: Mapping[int | str | None, Sequence[int]]
) -> Verdict:
    """``of_class``: indices of the objects of a class, by its index and by its label."""
    distances: list[Distances] = []
    for expected in pattern.objects:
        candidates = of_class.get(expected.class_id if expected.label is None else expected.label, ())
        distances.append({index: beyond(expected, objects[index].box) for index in candidates})
    found = _found(distances)
    elsewhere = _elsewhere(distances, found)
    findings = []
    for number, expected in enumerate(pattern.objects):
        if number in found:
            findings.append(Finding(expected, "found", found[number]))
        elif number in elsewhere:
            index = elsewhere[number]
            findings.append(Finding(expected, "out of place", index, offset(expected, objects[index].box)))
        else:
            findings.append(Finding(expected, "missing"))
    taken = {*found.values(), *elsewhere.values()}
    surplus = tuple(index for index in range(len(objects)) if index not in taken)
    return Verdict(len(found) == len(pattern.objects), pattern.name, tuple(findings), surplus)


def _found(distances: Sequence[Distances]) -> dict[int, int]:
    """Of as many expected objects as can be found at once, by number, the index of the object that each of them is."""
    fitting = [[index for index, distance in each.items() if distance <= 0] for each in distances]
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


def _elsewhere(distances: Sequence[Distances], found: Mapping[int, int]) -> dict[int, int]:
    """Of those that are not found, by number, the nearest object that is left; the nearest pairs come first."""
    taken = set(found.values())
    pairs = sorted(
        (distance, number, index)
        for number, each in enumerate(distances)
        if number not in found
        for index, distance in each.items()
        if index not in taken
    )
    chosen: dict[int, int] = {}
    for _, number, index in pairs:
        if number not in chosen and index not in taken:
            chosen[number] = index
            taken.add(index)
    return chosen

"""The judgement of the system that this one replaces, for its own routes: its clients go on as they are used to.

It differs from ``check`` in four ways. A pattern of one object is never good. One object of a picture may be several of
the expected ones. The pattern with most objects found is the best, even if another one is whole. And where nothing is
found, no pattern is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.patterns.placement import beyond

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contract.patterns.pattern import Pattern, PatternSet
    from contract.patterns.placement import PlacedObject

LEAST_FOUND = 2  # of a good part


@dataclass(frozen=True, slots=True)
class ReplacedVerdict:
    """``found`` says of each expected object whether it is there; where none is, it is empty, and so is the name."""

    decision: bool
    pattern: str
    found: tuple[bool, ...]


def check_as_replaced(patterns: PatternSet, objects: Sequence[PlacedObject]) -> ReplacedVerdict:
    """Compare the objects of a picture with the patterns, in order, until one is whole."""
    best: tuple[bool, ...] = ()
    name = ""
    for pattern in patterns.patterns:
        found = _found(pattern, objects)
        if sum(found) > sum(best):
            best, name = found, pattern.name
        if all(found):
            break
    return ReplacedVerdict(all(best) and sum(best) >= LEAST_FOUND, name, best)


def _found(pattern: Pattern, objects: Sequence[PlacedObject]) -> tuple[bool, ...]:
    return tuple(
        any(
            expected.is_of_class(placed.class_id, placed.label) and beyond(expected, placed.box) <= 0
            for placed in objects
        )
        for expected in pattern.objects
    )

"""Where pictures of good parts do not say clearly enough what a good part is, and what can be done about it. Pure."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from contract.patterns.fields import MOST_OBJECTS
from contract.patterns.placement import beyond
from model.patterns.errors import Unclear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contract.patterns.pattern import ExpectedObject
    from model.patterns.groups import Group

_PLACES_TOLD = 4


def check_scattered(rest: Sequence[Group], least: int, pictures: int, spread: float) -> None:
    """A class that is in nearly every picture, but nowhere in one place, is not left out without a word.

    Args:
        rest: those that are in fewer pictures than ``least``.
        pictures: how many there are.
        spread: as ``groups_in`` took it.

    Raises:
        Unclear: there is one.
    """
    for class_id in dict.fromkeys(found.class_id for found in rest):
        scattered = [found for found in rest if found.class_id == class_id]
        count = len(set(np.concatenate([found.pictures for found in scattered]).tolist()))
        if count < least:
            continue
        places = [f"at {found.place} in {len(found.pictures)}" for found in scattered[:_PLACES_TOLD]]
        more = ["..."] if len(scattered) > _PLACES_TOLD else []
        raise Unclear(
            f"{count} of {pictures} pictures have {scattered[0].label}, but not where the others have it: "
            f"{', '.join(places + more)}. If these are two kinds of part, learn each from a folder of its own, as two "
            f"patterns of one file. If it may lie so far apart, allow that (--spread, now {spread:g}). If it does not "
            "belong to the part, leave it out (--labels, --min-score)"
        )


def check_count(kept: Sequence[Group], rest: Sequence[Group], least: int, pictures: int) -> None:
    """Raises Unclear: a pattern can't have so many objects, or so few."""
    if not kept:
        most = max(rest, key=lambda found: len(found.pictures), default=None)
        told = (
            f"; the most frequent, {most.label}, is in {len(most.pictures)}" if most else ": nothing was found in any"
        )
        raise Unclear(f"no object is in at least {least} of the {pictures} pictures{told}")
    if len(kept) > MOST_OBJECTS:
        raise Unclear(f"a part has {len(kept)} objects, and a pattern may have {MOST_OBJECTS}")


def check_apart(kept: Sequence[Group], expected: Sequence[ExpectedObject]) -> None:
    """Two objects of a class, of which one would pass for the other, would let a part pass that lacks one.

    Args:
        expected: what a pattern makes of each of ``kept``.

    Raises:
        Unclear: there are such.
    """
    for (one, its), (other, others) in combinations(zip(kept, expected, strict=True), 2):
        if one.class_id != other.class_id:
            continue
        if beyond(its, other.median) <= 0 or beyond(others, one.median) <= 0:
            raise Unclear(
                f"two objects of the class {one.label}, at {one.place} and {other.place}, lie so near each other, for "
                "how far they move over the pictures, that one could be taken for the other. Fix the part's or the "
                "camera's place more firmly, or learn without this class (--labels)"
            )

"""What the objects in pictures of good parts have in common → a pattern. Pure: no picture is read here."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from contract.patterns.fields import is_name
from contract.patterns.pattern import ExpectedObject, Pattern, RelativeBox
from model.patterns.errors import Unclear
from model.patterns.groups import groups_in
from model.patterns.refusals import check_apart, check_count, check_scattered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contract.messages import Detection
    from model.patterns.groups import Group

LEAST_PICTURES = 3  # of fewer a deviation says nothing
LEAST_TOLERANCE = 0.02  # of the picture's width or height
DEVIATIONS = 3  # standard ones, on each side
FINEST = 10_000  # parts of the picture: patterns have four decimals


@dataclass(frozen=True, slots=True)
class LearningRules:
    """What is one object, and what belongs to a part.

    Attributes:
        spread: the farthest that an edge of one object may lie apart over the pictures, relative to the picture.
        least_share: of the pictures, in which an object must be to be expected; above 0, 1 at most.
    """

    spread: float = 0.1
    least_share: float = 0.9


class Placement(NamedTuple):
    """Where one object of a class lay, by median.

    Attributes:
        pictures: in which it was, counted from 0.
        spread: how far apart the edge that moved most lay.
        extremes: the pictures in which that edge lay lowest and highest.
    """

    name: str
    median: RelativeBox
    pictures: tuple[int, ...]
    spread: float
    extremes: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Learnt:
    """A pattern, and what it was learnt from.

    Attributes:
        placements: of the pattern's objects, in its order.
        left_out: of the objects that were in too few pictures, most frequent first.
        typical: the picture whose objects lie nearest to the medians, counted from 0.
    """

    pattern: Pattern
    placements: tuple[Placement, ...]
    left_out: tuple[Placement, ...]
    typical: int


def learn(name: str, detections: Sequence[Detection], labels: Sequence[str], rules: LearningRules) -> Learnt:
    """The pattern of what is in all of these pictures, or nearly all, in about the same place.

    Each edge may lie as far from its median as it did in any of the pictures, and three standard deviations, and at
    least ``LEAST_TOLERANCE``. A class is named by its label, or by its index where the model has that label twice.

    Args:
        name: of the pattern.
        detections: of pictures of good parts, each with one part.
        labels: the model's, by class index.

    Raises:
        Unclear: they are too few, or it does not show which objects belong to a part.
    """
    if len(detections) < LEAST_PICTURES:
        raise Unclear(
            f"a pattern needs pictures of at least {LEAST_PICTURES} good parts, and there are {len(detections)}"
        )
    groups = groups_in(detections, rules.spread)
    least = max(1, ceil(rules.least_share * len(detections) - 1e-9))
    kept = [found for found in groups if len(found.pictures) >= least]
    rest = [found for found in groups if len(found.pictures) < least]
    check_scattered(rest, least, len(detections), rules.spread)
    check_count(kept, rest, least, len(detections))
    expected = [_expected(found, by_label=is_name(found.label) and labels.count(found.label) == 1) for found in kept]
    check_apart(kept, expected)
    return Learnt(
        Pattern(name, tuple(expected)),
        tuple(map(_placement, kept)),
        tuple(sorted((_placement(found) for found in rest), key=lambda placed: (-len(placed.pictures), placed))),
        _typical(kept, len(detections)),
    )


def _expected(found: Group, *, by_label: bool) -> ExpectedObject:
    median = np.median(found.boxes, axis=0)
    deviation = DEVIATIONS * found.boxes.std(axis=0, ddof=1) if len(found.boxes) > 1 else np.zeros(4)
    tolerance = np.maximum(deviation, LEAST_TOLERANCE)
    low = [_down(edge) for edge in np.minimum(median - tolerance, found.boxes.min(axis=0))]
    high = [_up(edge) for edge in np.maximum(median + tolerance, found.boxes.max(axis=0))]
    outer = RelativeBox(low[0], low[1], high[2], high[3])
    # No edge lies beyond the opposite one's farthest place.
    inner = RelativeBox(
        min(high[0], outer.right), min(high[1], outer.bottom), max(low[2], outer.left), max(low[3], outer.top)
    )
    if by_label:
        return ExpectedObject(inner, outer, label=found.label)
    return ExpectedObject(inner, outer, class_id=found.class_id)


def _down(edge: float) -> float:
    return max(0.0, floor(edge * FINEST) / FINEST)


def _up(edge: float) -> float:
    return min(1.0, ceil(edge * FINEST) / FINEST)


def _placement(found: Group) -> Placement:
    widest = int(np.ptp(found.boxes, axis=0).argmax())
    edges = found.boxes[:, widest]
    return Placement(
        found.label,
        found.median,
        tuple(found.pictures.tolist()),
        float(np.ptp(edges)),
        (int(found.pictures[edges.argmin()]), int(found.pictures[edges.argmax()])),
    )


def _typical(kept: Sequence[Group], pictures: int) -> int:
    """Of those with most of the objects."""
    far = np.zeros(pictures)
    missing = np.full(pictures, len(kept))
    for found in kept:
        np.maximum.at(far, found.pictures, np.abs(found.boxes - np.median(found.boxes, axis=0)).max(axis=1))
        missing[found.pictures] -= 1
    return int(np.lexsort((far, missing))[0])

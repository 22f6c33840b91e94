"""Objects that were found, beside where they are expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from contract.patterns.pattern import RelativeBox

if TYPE_CHECKING:
    from contract.messages import Detection
    from contract.patterns.pattern import ExpectedObject


class PlacedObject(NamedTuple):
    """An object in a picture; ``label`` is None where only the index of its class is known."""

    class_id: int
    label: str | None
    box: RelativeBox


class Offset(NamedTuple):
    """How far each edge is from where it may lie, in fractions of the picture's width and height; 0: it is there.

    Positive is too far to the right, or too far down.
    """

    left: float
    top: float
    right: float
    bottom: float


def placed_objects(detection: Detection) -> tuple[PlacedObject, ...]:
    """The objects of a picture, in its order, with their boxes relative to it."""
    sides = (detection.width, detection.height) * 2
    return tuple(
        PlacedObject(
            found.index,
            found.label,
            RelativeBox(*(edge / side for edge, side in zip(found.box, sides, strict=True))),
        )
        for found in detection.objects
    )


def beyond(expected: ExpectedObject, box: RelativeBox) -> float:
    """How far the edge that is farthest from where it may lie is from there; at most 0 if all edges are there.

    It is the largest number of ``offset`` in a quarter of the time: it is asked for every pair of objects.
    """
    (left, top, right, bottom), inner, outer = box, expected.inner, expected.outer
    return max(
        outer[0] - left, left - inner[0],
        outer[1] - top, top - inner[1],
        inner[2] - right, right - outer[2],
        inner[3] - bottom, bottom - outer[3],
    )  # fmt: skip


def offset(expected: ExpectedObject, box: RelativeBox) -> Offset:
    """How far ``box`` is from where ``expected`` may lie."""
    inner, outer = expected.inner, expected.outer
    return Offset(
        _beyond(box.left, outer.left, inner.left),
        _beyond(box.top, outer.top, inner.top),
        _beyond(box.right, inner.right, outer.right),
        _beyond(box.bottom, inner.bottom, outer.bottom),
    )


def _beyond(value: float, low: float, high: float) -> float:
    return min(value - low, 0.0) or max(value - high, 0.0)

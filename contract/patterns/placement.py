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

    @property
    def largest(self) -> float:
        """Of any edge, without its sign; 0 if the object is where it may lie."""
        return max(map(abs, self))


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

"""How far two boxes are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contract.messages import Box

    Corners = Box | tuple[float, float, float, float]


def iou(one: Corners, other: Corners) -> float:
    """Intersection over union: 0 where they do not touch, or have no area, and 1 where they are equal."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0.0) * max(height, 0.0)
    union = _area(one) + _area(other) - common
    return common / union if union > 0 else 0.0


def _area(box: Corners) -> float:
    left, top, right, bottom = box
    return (right - left) * (bottom - top)

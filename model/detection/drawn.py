"""What a detector has found, as boxes to draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.patterns.pattern import RelativeBox
from model.drawing import COLOURS, Drawn

if TYPE_CHECKING:
    from contract.messages import Detection

LINE_PX = 3


def boxes_of(detection: Detection) -> list[Drawn]:
    """A box for each object, the best one's on top; a colour stands for a class, as far as there are colours."""
    return [
        Drawn(
            RelativeBox(
                found.box.left / detection.width,
                found.box.top / detection.height,
                found.box.right / detection.width,
                found.box.bottom / detection.height,
            ),
            COLOURS[found.index % len(COLOURS)],
            LINE_PX,
            f"{found.label} {found.score:.2f}",
        )
        for found in reversed(detection.objects)
    ]

"""What a learnt pattern looks like on a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.drawing import COLOURS, Drawn

if TYPE_CHECKING:
    from model.patterns.learning import Learnt

LEFT_OUT = (128, 128, 128)  # blue, green, red


def boxes_of(learnt: Learnt) -> list[Drawn]:
    """Of each object where it lay by median, in a thick line, and how far it may reach (``outer``), in a thin one."""
    drawn = [Drawn(placed.median, LEFT_OUT, 1, f"{placed.name}, left out") for placed in learnt.left_out]
    pairs = zip(learnt.pattern.objects, learnt.placements, strict=True)
    for number, (expected, placed) in enumerate(pairs, 1):
        colour = COLOURS[(number - 1) % len(COLOURS)]
        drawn += [Drawn(expected.outer, colour, 2), Drawn(placed.median, colour, 4, f"{number} {placed.name}")]
    return drawn

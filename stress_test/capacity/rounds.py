"""Takes turns, so that whatever else the machine does falls on all contestants alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def take_turns(turns: Sequence[Callable[[], None]], rounds: int) -> None:
    """Give each its turn in every round, in the opposite order every other round."""
    for number in range(rounds):
        for turn in turns if number % 2 == 0 else reversed(turns):
            turn()

"""Takes turns, so that other work of the machine affects all contestants equally."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def take_turns(turns: Sequence[Callable[[], None]], rounds: int) -> None:
    """Run each once in every round, in the opposite order every other round."""
    for number in range(rounds):
        for turn in turns if number % 2 == 0 else reversed(turns):
            turn()

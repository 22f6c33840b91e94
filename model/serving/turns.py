"""Whose turn it is among the models that have work: each gets the same share of the worker's time.

Deficit round-robin (M. Shreedhar, G. Varghese: Efficient Fair Queuing Using Deficit Round-Robin, 1996) with seconds for
bytes. What a batch takes is known only when it is done, so it is paid for afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

MOST_DUE_S = 5.0  # that a model may be ahead or behind: one very slow batch is forgotten after so much time of others


class Turns:
    """One per worker. A model that has nothing waiting saves nothing up for later."""

    def __init__(self) -> None:
        self._due_s: dict[str, float] = {}
        self._served_last: dict[str, int] = {}
        self._turn = 0

    def order(self, waiting: Collection[str]) -> list[str]:
        """Those ``waiting``, the one to which most time is due first; of equals, the one whose turn is longest ago."""
        self._due_s = {model: self._due_s.get(model, 0.0) for model in waiting}
        return sorted(waiting, key=lambda model: (-self._due_s[model], self._served_last.get(model, 0)))

    def served(self, model: str, elapsed_s: float) -> None:
        """Take a batch's time off what is due to its model, and share it out among those that waited, itself included.

        Args:
            elapsed_s: in seconds.
        """
        self._turn += 1
        self._served_last[model] = self._turn
        self._due_s[model] = self._due_s.get(model, 0.0) - elapsed_s
        share_s = elapsed_s / len(self._due_s)
        for other in self._due_s:
            self._due_s[other] = max(-MOST_DUE_S, min(MOST_DUE_S, self._due_s[other] + share_s))

    def forget(self, model: str) -> None:
        """It is served no longer."""
        self._due_s.pop(model, None)
        self._served_last.pop(model, None)

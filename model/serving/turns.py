"""Whose turn it is among the models that have work: each gets the same share of the worker's time.

Start-time fair queueing (P. Goyal, H. Vin, H. Cheng: Start-time Fair Queuing, 1996) with seconds for bytes. What a
batch takes is known only when it is done, so it is paid for afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

MOST_AHEAD_S = 5.0  # that a model may be of the others: one very slow batch is forgotten after so much time of theirs


class Turns:
    """One for each kind of work.

    Every model has a clock of the time that it has had. That of one that had nothing waiting is set to the time of
    whoever was served last: it has saved nothing up, and nobody has saved anything up against it meanwhile.
    """

    def __init__(self) -> None:
        self._had_s: dict[str, float] = {}
        self._now_s = 0.0
        self._served_last: dict[str, int] = {}
        self._turn = 0

    def order(self, waiting: Collection[str]) -> list[str]:
        """Those ``waiting``, the one that has had least time first; of equals, the one whose turn is longest ago."""
        return sorted(waiting, key=lambda model: (self._clock_s(model), self._served_last.get(model, 0)))

    def served(self, model: str, elapsed_s: float) -> None:
        """Add a batch's time to what a model has had.

        Args:
            elapsed_s: in seconds.
        """
        self._turn += 1
        self._served_last[model] = self._turn
        self._now_s = self._clock_s(model)
        self._had_s[model] = self._now_s + min(elapsed_s, MOST_AHEAD_S)

    def forget(self, model: str) -> None:
        """It is served no longer."""
        self._had_s.pop(model, None)
        self._served_last.pop(model, None)

    def _clock_s(self, model: str) -> float:
        return max(self._had_s.get(model, 0.0), self._now_s)

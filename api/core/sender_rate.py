"""How much one sender may have in a while: counted in a sliding window, in each process for itself."""

from __future__ import annotations

import math
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from contract.errors import OverShare

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 8  # of a window: what was counted counts for a window, and for a step longer at most
MOST_SENDERS = 10_000  # names that are kept; who comes after them shares one count with the others
OTHERS = "others"


class SenderRate:
    """Bounds what each sender has.

    Args:
        most: what one sender may have in a window; a single thing that is more than that, nothing beside it.
        window_s: how long that is, in seconds.
        refusal: a sentence for the sender who has had its share.
    """

    def __init__(self, most: int, window_s: float, refusal: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._window_s = window_s
        self._refusal = refusal
        self._clock = clock
        self._steps: deque[tuple[float, dict[str, int]]] = deque()  # each with the time when it counts no more
        self._totals: dict[str, int] = {}  # of all steps

    def count(self, sender: str, amount: int = 1) -> Callable[[], None]:
        """Count something, unless it is refused; returns what takes it back, should it not have come to it.

        Args:
            amount: 1 or more.

        Raises:
            OverShare: the sender has had its share; it is told when there is room.
        """
        now = self._clock()
        name, had = self._room_for(sender, amount, now)
        if not self._steps or self._steps[-1][0] <= now + self._window_s:
            self._steps.append((now + self._window_s * (1 + 1 / STEPS), {}))
        counts = self._steps[-1][1]
        counts[name] = counts.get(name, 0) + amount
        self._totals[name] = had + amount
        return partial(self._take_back, counts, name, amount)

    def check(self, sender: str) -> None:
        """Count nothing, but refuse what would be refused.

        Raises:
            OverShare: as ``count`` does.
        """
        self._room_for(sender, 1, self._clock())

    def _room_for(self, sender: str, amount: int, now: float) -> tuple[str, int]:
        """Under which name the sender is counted, and how much it has had. Raises OverShare."""
        self._forget(now)
        name = sender if sender in self._totals or len(self._totals) < MOST_SENDERS else OTHERS
        had = self._totals.get(name, 0)
        if had and had + amount > self._most:
            raise OverShare(self._refusal, max(1, math.ceil(self._room_at(name, had, amount) - now)))
        return name, had

    def _take_back(self, counts: dict[str, int], name: str, amount: int) -> None:
        if name in counts:  # its step still counts
            counts[name] -= amount
            if not counts[name]:
                del counts[name]
            self._subtract(name, amount)

    def _forget(self, now: float) -> None:
        while self._steps and self._steps[0][0] <= now:
            _, counts = self._steps.popleft()
            for name, amount in counts.items():
                self._subtract(name, amount)
            counts.clear()

    def _subtract(self, name: str, amount: int) -> None:
        """A sender is among the totals while it is in one of the steps."""
        self._totals[name] -= amount
        if not self._totals[name]:
            del self._totals[name]

    def _room_at(self, name: str, had: int, amount: int) -> float:
        for ends_at, counts in self._steps:
            had -= counts.get(name, 0)
            if had + amount <= self._most:
                return ends_at
        return self._steps[-1][0]

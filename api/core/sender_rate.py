"""How much one sender may have in a while: counted in a sliding window, in each process for itself."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
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
        self._steps: deque[tuple[float, Counter[str]]] = deque()  # each with the time when it counts no more

    def count(self, sender: str, amount: int = 1) -> Callable[[], None]:
        """Count something, unless it is refused; returns what takes it back, should it not have come to it.

        Raises:
            OverShare: the sender has had its share; it is told when there is room.
        """
        now = self._clock()
        while self._steps and self._steps[0][0] <= now:
            self._steps.popleft()
        name = self._name(sender)
        had = sum(counts[name] for _, counts in self._steps)
        if had and had + amount > self._most:
            raise OverShare(self._refusal, max(1, math.ceil(self._room_at(name, had, amount) - now)))
        if not self._steps or self._steps[-1][0] <= now + self._window_s:
            self._steps.append((now + self._window_s * (1 + 1 / STEPS), Counter()))
        counts = self._steps[-1][1]
        counts[name] += amount
        return partial(counts.subtract, {name: amount})

    def _name(self, sender: str) -> str:
        known = any(sender in counts for _, counts in self._steps)
        return sender if known or sum(len(counts) for _, counts in self._steps) < MOST_SENDERS else OTHERS

    def _room_at(self, name: str, had: int, amount: int) -> float:
        for ends_at, counts in self._steps:
            had -= counts[name]
            if had + amount <= self._most:
                return ends_at
        return self._steps[-1][0]

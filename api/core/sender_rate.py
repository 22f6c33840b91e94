"""How often one sender may do something: counted in windows of an hour, in each process for itself."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import TYPE_CHECKING

from contract.errors import OverShare

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_S = 3600.0
MOST_SENDERS = 10_000  # names that are kept; who comes after them in an hour shares one count with the others
OTHERS = "others"


class SenderRate:
    """Fixed windows: a sender may do twice as much around the end of one, and no more than that in any hour.

    Args:
        per_hour: what one sender may do.
        what: names it, in the plural, for the sender who reads the refusal.
    """

    def __init__(self, per_hour: int, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_hour = per_hour
        self._what = what
        self._clock = clock
        self._began = clock()
        self._counts: Counter[str] = Counter()

    def count(self, sender: str) -> None:
        """Count once more.

        Raises:
            OverShare: the sender has had its share; it is told when the window ends.
        """
        now = self._clock()
        if now - self._began >= WINDOW_S:
            self._began = now
            self._counts.clear()
        name = sender if sender in self._counts or len(self._counts) < MOST_SENDERS else OTHERS
        if self._counts[name] >= self._per_hour:
            left_s = max(1, math.ceil(WINDOW_S - (now - self._began)))
            raise OverShare(f"too many {self._what} from this address: at most {self._per_hour} an hour", left_s)
        self._counts[name] += 1

"""How much work each sender has on the ordinary queue: more than its share goes on the bulk queue."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEAST_PICTURES = 8  # a sender's share is at least this many, however slow the workers are: a batch
US = 1_000_000  # counted in whole microseconds, so that nothing is left over of a sum


class SenderBacklog:
    """Of one process; it holds no more names than there are requests that wait.

    Args:
        most_s: what one sender may have on the ordinary queue through this process, in seconds of a worker's time.
    """

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._lock = Lock()
        self._waiting_us: Counter[str] = Counter()
        self._pictures: Counter[str] = Counter()

    def over(self, sender: str) -> bool:
        """Whether the sender has its share already."""
        enough_pictures = self._pictures[sender] >= LEAST_PICTURES
        return enough_pictures and self._waiting_us[sender] >= self._most_s * US

    @contextmanager
    def of(self, sender: str) -> Iterator[Callable[[float], None]]:
        """What one request adds counts while the context lasts; yields what adds a picture of so many seconds."""
        added_us = pictures = 0

        def add(seconds: float) -> None:
            nonlocal added_us, pictures
            us = round(seconds * US)
            with self._lock:
                self._waiting_us[sender] += us
                self._pictures[sender] += 1
            added_us, pictures = added_us + us, pictures + 1

        try:
            yield add
        finally:
            if pictures:
                with self._lock:
                    self._waiting_us[sender] -= added_us
                    self._pictures[sender] -= pictures
                    if not self._pictures[sender]:
                        del self._waiting_us[sender], self._pictures[sender]

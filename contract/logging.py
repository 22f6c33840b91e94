"""One log format for every process, on standard error, and a bound on how much one writes."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def set_up_logging(level: str, messages_per_s: int) -> None:
    """Log to standard error from ``level`` on, at most ``messages_per_s`` messages a second."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    (handler,) = logging.getLogger().handlers
    handler.addFilter(RateLimit(messages_per_s))


def log_with_others(name: str) -> None:
    """Let a library's logger with a handler of its own write as all others do, within the same bound."""
    logger = logging.getLogger(name)
    logger.handlers.clear()
    logger.propagate = True


class RateLimit(logging.Filter):
    """Lets so many messages of a second pass; the first after those left out says how many they were."""

    def __init__(self, messages_per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._messages_per_s = messages_per_s
        self._clock = clock
        self._second = 0
        self._passed = 0
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        second = int(self._clock())
        if second != self._second:
            self._second, self._passed = second, 0
        if self._passed >= self._messages_per_s:
            self._left_out += 1
            return False
        self._passed += 1
        if self._left_out:
            record.msg, record.args = f"({self._left_out} messages left out) {record.getMessage()}", None
            self._left_out = 0
        return True

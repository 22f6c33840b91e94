"""A pool of connections to Redis that closes those that nobody needs any more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis import ConnectionPool

if TYPE_CHECKING:
    from redis.connection import ConnectionInterface

IDLE_S = 60.0  # connections that were free for all of so many seconds are closed


class ShrinkingPool(ConnectionPool):
    """As redis-py's, which never closes what it has opened: it stays as large as the busiest moment ever made it.

    Of the connections that are free, so many were not needed as there were at the moment with the fewest of them. They
    are closed by whoever returns another one: there is no thread, and a pool that nobody uses at all stays as it is.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._fewest_free = 0
        self._since = time.monotonic()
        super().__init__(*args, **options)

    def release(self, connection: ConnectionInterface) -> None:
        free = self._available_connections
        self._fewest_free = min(self._fewest_free, len(free))  # before: after the last one that was taken
        super().release(connection)  # type: ignore[arg-type]  # redis-py narrows its own interface
        now = time.monotonic()
        if now - self._since >= IDLE_S:
            self._since = now
            with self._lock:
                for _ in range(min(self._fewest_free, len(free) - 1)):
                    free.pop(0).disconnect()
                    self._created_connections -= 1
                self._fewest_free = len(free)

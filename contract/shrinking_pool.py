"""A pool of connections to Redis that closes those that nobody needs any more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from redis import ConnectionPool

if TYPE_CHECKING:
    from redis.connection import ConnectionInterface

IDLE_S = 60.0  # how long a connection lies unused before it is closed, in seconds


class ShrinkingPool(ConnectionPool):
    """As redis-py's, which never closes what it has opened: it stays as large as the busiest moment ever made it.

    Connections are taken from the end of the list of the free ones and put back there, so the first has been free for
    longest. Whoever returns one closes those at the front that have been free for ``IDLE_S``: there is no thread, and
    a pool that nobody uses at all stays as it is.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._free_since: WeakKeyDictionary[ConnectionInterface, float] = WeakKeyDictionary()
        super().__init__(*args, **options)

    def release(self, connection: ConnectionInterface) -> None:
        with self._lock:
            super().release(connection)  # type: ignore[arg-type]  # redis-py narrows its own interface
            now = time.monotonic()
            self._free_since[connection] = now
            free = self._available_connections
            while free and now - self._free_since.get(free[0], now) > IDLE_S:
                free.pop(0).disconnect()
                self._created_connections -= 1

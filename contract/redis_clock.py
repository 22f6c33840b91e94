"""Redis' own time. What one machine writes and another judges goes by it: their own clocks may be seconds apart."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis import Redis

READ_AGAIN_AFTER_S = 10.0  # clocks drift by microseconds in that time; it matters when another server takes over


def read_time_s(redis: Redis) -> float:
    """Redis' time in Unix seconds, in one round trip.

    Raises:
        RedisError: Redis does not answer.
    """
    now: Any = redis.time()
    seconds, microseconds = now
    return int(seconds) + int(microseconds) / 1e6


class RedisClock:
    """Redis' time without a round trip for every look: it is read now and then, and counted on from there.

    What counts is the monotonic clock, so nothing changes when somebody sets this machine's clock. It is never ahead of
    Redis, and behind by as long as the latest reading took.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._ahead_s = 0.0
        self._read_at = float("-inf")

    def now_s(self) -> float:
        """Unix seconds, read from Redis if that is ``READ_AGAIN_AFTER_S`` ago.

        Raises:
            RedisError: it had to be read, and Redis does not answer.
        """
        if time.monotonic() - self._read_at >= READ_AGAIN_AFTER_S:
            return self.read()
        return time.monotonic() + self._ahead_s

    def read(self) -> float:
        """As ``now_s``, read anew.

        Raises:
            RedisError: Redis does not answer.
        """
        now_s = read_time_s(self._redis)
        self._read_at = time.monotonic()
        self._ahead_s = now_s - self._read_at
        return now_s

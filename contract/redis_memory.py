"""How much room Redis has left: finishing what was accepted must always fit.

Each process asks about once a second, so this is also where it notices that it speaks to a replica.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contract.primary_connection import NotPrimaryError

if TYPE_CHECKING:
    from redis import Redis

NEARLY_FULL = 0.8  # above this share of maxmemory nothing new is accepted; the rest is for results
ASYNC_JOBS_FULL = 0.6  # above this no async job is accepted: they are kept for long, and requests need room beside them
ANSWERS_FULL = 0.5  # above this no answer is kept for later requests: they must never be the reason for a refusal


@dataclass(frozen=True, slots=True)
class RedisMemory:
    """Redis' memory: bytes used, the limit in bytes (0 for none), and the policy at the limit."""

    used_bytes: int
    max_bytes: int
    policy: str

    @property
    def nearly_full(self) -> bool:
        return self._above(NEARLY_FULL)

    @property
    def full_of_async_jobs(self) -> bool:
        return self._above(ASYNC_JOBS_FULL)

    @property
    def has_room_for_answers(self) -> bool:
        return not self._above(ANSWERS_FULL)

    @property
    def never_forgets(self) -> bool:
        """Whether Redis refuses writes at its limit; any other policy would silently drop accepted jobs."""
        return self.policy == "noeviction"

    def _above(self, share: float) -> bool:
        return 0 < self.max_bytes * share < self.used_bytes


def read_redis_memory(redis: Redis) -> RedisMemory:
    """Read it from the server that takes writes.

    A connection that was only read by would never be refused anything, and would lead to a replica for good.

    Raises:
        NotPrimaryError: the address leads to a replica; connections that nobody uses at the moment are closed.
        RedisError: Redis does not answer.
    """
    info: Any = redis.info("memory", "replication")
    if info.get("role") == "slave":
        redis.connection_pool.disconnect(inuse_connections=False)
        raise NotPrimaryError("this server is a replica")
    return RedisMemory(int(info["used_memory"]), int(info["maxmemory"]), str(info["maxmemory_policy"]))

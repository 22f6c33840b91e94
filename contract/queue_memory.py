"""How much room Redis has left: finishing what was accepted must always fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis import Redis

NEARLY_FULL = 0.8  # above this share of maxmemory nothing new is accepted; the rest is for results
TICKETS_FULL = 0.6  # above this one no ticket is: tickets stay for long, and requests need room beside them


@dataclass(frozen=True, slots=True)
class QueueMemory:
    """Redis' memory: bytes used, the limit in bytes (0 for none), and what it does at the limit."""

    used_bytes: int
    max_bytes: int
    policy: str

    @property
    def nearly_full(self) -> bool:
        return 0 < self.max_bytes * NEARLY_FULL < self.used_bytes

    @property
    def full_of_tickets(self) -> bool:
        return 0 < self.max_bytes * TICKETS_FULL < self.used_bytes

    @property
    def never_forgets(self) -> bool:
        """Whether Redis refuses at its limit; any other policy would drop accepted jobs unseen."""
        return self.policy == "noeviction"


def read_queue_memory(redis: Redis) -> QueueMemory:
    """Raises RedisError: Redis does not answer."""
    info: Any = redis.info("memory")
    return QueueMemory(int(info["used_memory"]), int(info["maxmemory"]), str(info["maxmemory_policy"]))

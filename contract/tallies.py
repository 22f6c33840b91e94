"""How many computations of a version have failed while its model has a candidate: what decides whether that stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contract import keys

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

KEPT_FOR_S = 7 * 86400


@dataclass(frozen=True, slots=True)
class Tally:
    """``failed`` are those that ended by a fault of ours, or too late."""

    answered: int
    failed: int

    @property
    def requests(self) -> int:
        return self.answered + self.failed

    @property
    def failed_share(self) -> float:
        """0 to 1; 0 before anything was counted."""
        return self.failed / self.requests if self.requests else 0.0


def count(redis: Redis, model: str, *, failed: bool) -> None:
    """Count one computation of a version (``ModelVersion.key``); raises RedisError."""
    with redis.pipeline(transaction=False) as pipe:
        pipe.hincrby(keys.tally(model), "failed" if failed else "answered", 1)
        pipe.expire(keys.tally(model), KEPT_FOR_S)
        pipe.execute()


def read(redis: Redis, *models: str) -> list[Tally]:
    """Those of each version, in order; raises RedisError."""
    with redis.pipeline(transaction=False) as pipe:
        for model in models:
            pipe.hmget(keys.tally(model), "answered", "failed")
        found: Any = pipe.execute()
    return [Tally(*(int(one) if one and one.isdigit() else 0 for one in counts)) for counts in found]


def forget(pipe: Pipeline, *models: str) -> None:
    """Begin anew."""
    pipe.delete(*map(keys.tally, models))

"""How many of a version's latest computations have failed while its model has a candidate: whether that stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from contract import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis
    from redis.client import Pipeline

KEPT_FOR_S = 7 * 86400
REMEMBERED = 400  # computations, at most: then both counts are halved, so that what has just begun to fail shows soon


@dataclass(frozen=True, slots=True)
class Tally:
    """``failed`` are those that ended by a fault of ours, or too late."""

    answered: int
    failed: int

    @classmethod
    def parse(cls, counts: Sequence[bytes | None]) -> Self:
        """What ``ask`` is answered; zeros for what can't be so."""
        return cls(*(int(one) if one and one.isdigit() else 0 for one in counts))

    @property
    def requests(self) -> int:
        return self.answered + self.failed

    @property
    def failed_share(self) -> float:
        """0 to 1; 0 before anything was counted."""
        return self.failed / self.requests if self.requests else 0.0


def count(redis: Redis, model: str, *, failed: bool) -> None:
    """Count one computation of a version (``ModelVersion.key``); raises RedisError."""
    key = keys.tally(model)
    with redis.pipeline(transaction=False) as pipe:
        pipe.hincrby(key, "failed" if failed else "answered", 1)
        pipe.hincrby(key, "counted", 1)
        pipe.expire(key, KEPT_FOR_S)
        ask(pipe, model)
        _, counted, _, counts = pipe.execute()
        if counted >= REMEMBERED and counted % (REMEMBERED // 2) == 0:  # so only one of many processes does it
            tally = Tally.parse(counts)
            pipe.hincrby(key, "answered", -(tally.answered // 2))
            pipe.hincrby(key, "failed", -(tally.failed // 2))
            pipe.hincrby(key, "counted", -(counted // 2))
            pipe.execute()


def ask(pipe: Pipeline, model: str) -> None:
    """Add the question to a pipeline; ``Tally.parse`` reads the answer."""
    pipe.hmget(keys.tally(model), "answered", "failed")


def read(redis: Redis, *models: str) -> list[Tally]:
    """Those of each version, in order; raises RedisError."""
    with redis.pipeline(transaction=False) as pipe:
        for model in models:
            ask(pipe, model)
        found: Any = pipe.execute()
    return [Tally.parse(counts) for counts in found]


def forget(pipe: Pipeline, *models: str) -> None:
    """Begin anew."""
    pipe.delete(*map(keys.tally, models))

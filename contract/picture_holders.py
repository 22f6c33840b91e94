"""Who still needs a stored picture: the jobs that name it and have not ended. Nobody else deletes or keeps one.

``holders:<picture>`` is a sorted set of job IDs, each with the time, in Unix seconds by Redis' clock, after which it
holds no more whatever has become of it. A job's entry is written by the MULTI that submits it and removed by the one
that ends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract import keys
from contract.redis_clients import raise_refusals, redis_errors
from contract.redis_clock import read_time_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis
    from redis.client import Pipeline

GRACE_S = 120  # a job that was started just before its sender's deadline is still computed, perhaps a second time
KEY_TTL_S = 31 * 86400  # above what JOB_TTL_S may be: it only clears what jobs that nobody ended have left


def hold(pipe: Pipeline, picture: str, job_id: str, wanted_for_s: float, now_s: float) -> None:
    """Add to a MULTI that a job needs the picture, for ``wanted_for_s`` seconds from ``now_s`` on, and a while."""
    key = keys.holders(picture)
    pipe.zadd(key, {job_id: int(now_s + wanted_for_s) + GRACE_S})
    pipe.expire(key, KEY_TTL_S)


def let_go(pipe: Pipeline, picture: str, job_id: str) -> None:
    """Add to a MULTI that a job has ended."""
    pipe.zrem(keys.holders(picture), job_id)


def held(redis: Redis, pictures: Sequence[str]) -> set[str]:
    """Those of ``pictures`` that a job still needs. What somebody else has written there holds nothing.

    Raises:
        BackendDown: Redis does not answer.
    """
    with redis_errors(), redis.pipeline(transaction=False) as pipe:
        now_s = read_time_s(redis)
        for picture in pictures:
            pipe.zcount(keys.holders(picture), now_s, "+inf")
        counts = pipe.execute(raise_on_error=False)
        raise_refusals(counts)
    return {picture for picture, count in zip(pictures, counts, strict=True) if isinstance(count, int) and count}

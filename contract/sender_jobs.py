"""What one sender has of ``/v1/jobs``: the jobs that count against its share, and the latest of those that do not.

``jobs:<sender>`` is a sorted set of the IDs that count, by the Unix time when they expire. A job that has failed, was
cancelled or was fetched goes from there to ``ended-jobs:<sender>``, by the time when it did. As many of these are kept
as may count, and the oldest go with the next job that is created: otherwise a sender who fetches each at once could
fill Redis with what is kept for a response that gets lost.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from contract import keys
from contract.errors import OverShare
from contract.redis_clients import redis_errors

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

FORGOTTEN_AT_ONCE = 20  # more than one job creates


class SenderJobs:
    """Bounds what each sender has.

    Args:
        most: how many jobs of one sender may count, and how many are kept that don't.
        ttl_s: how long a job is kept, in seconds.
    """

    def __init__(self, redis: Redis, *, most: int, ttl_s: int) -> None:
        self._redis = redis
        self._most = most
        self._ttl_s = ttl_s

    def check(self, sender: str) -> list[str]:
        """Refuse another job if the sender has its share; one round trip.

        Two that are created at the same instant may both find room for one.

        Returns:
            IDs of jobs that are kept no longer, to be deleted with the new one's MULTI.

        Raises:
            OverShare: it says when the first of the sender's jobs expires.
            BackendDown: Redis does not answer.
        """
        counted, ended, now = keys.sender_jobs(sender), keys.sender_ended_jobs(sender), time.time()
        with redis_errors(), self._redis.pipeline(transaction=False) as pipe:
            pipe.zremrangebyscore(counted, "-inf", now)
            pipe.zcard(counted)
            pipe.zrange(counted, 0, 0, withscores=True)
            pipe.zcard(ended)
            pipe.zrange(ended, 0, FORGOTTEN_AT_ONCE - 1)
            replies: list[Any] = pipe.execute(raise_on_error=False)
        if any(isinstance(reply, Exception) for reply in replies):  # somebody has written something else there
            with redis_errors():
                self._redis.delete(counted, ended)
            return []
        _, count, first, count_ended, oldest = replies
        if count >= self._most:
            left_s = max(1, math.ceil(first[0][1] - now))
            raise OverShare(
                f"there are {count} jobs of this address that are not fetched: fetch some, or cancel them", left_s
            )
        return [job_id.decode(errors="replace") for job_id in oldest] if count_ended > self._most else []

    def add(self, pipe: Pipeline, sender: str, job_id: str) -> None:
        """Add to a MULTI that a job counts against its sender's share."""
        pipe.zadd(keys.sender_jobs(sender), {job_id: time.time() + self._ttl_s})
        pipe.expire(keys.sender_jobs(sender), self._ttl_s)

    def forget(self, pipe: Pipeline, sender: str, job_id: str) -> None:
        """Add to a MULTI that a job is deleted."""
        pipe.zrem(keys.sender_ended_jobs(sender), job_id)


def count_no_more(pipe: Pipeline, sender: str, job_id: str, kept_for_s: int) -> None:
    """Add to a MULTI that a job has failed, was cancelled or was fetched; it is kept for ``kept_for_s`` at most."""
    pipe.zrem(keys.sender_jobs(sender), job_id)
    pipe.zadd(keys.sender_ended_jobs(sender), {job_id: time.time()})
    pipe.expire(keys.sender_ended_jobs(sender), kept_for_s)

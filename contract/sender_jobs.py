"""What one sender has of ``/v1/jobs``: the jobs that count against its share, and the latest of those that do not.

``jobs:<sender>`` is a sorted set of the IDs that count, by the Unix time when they expire; all times are Redis'. A job
of a large picture, which nobody can delete before the job has ended, counts as several: as ``<ID>``, ``<ID>/2``,
``<ID>/3`` and so on.

A job that has failed, was cancelled or was fetched goes from there to ``ended-jobs:<sender>``, by the time when it did.
As many of these are kept as may count, and the oldest go with the next job that is created: otherwise a sender who
fetches each at once could fill Redis with what is kept for a response that gets lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from contract import keys
from contract.errors import OverShare
from contract.redis_clients import raise_refusals, redis_errors

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

    from contract.redis_clock import RedisClock

OF_A_KEY = "key:"  # how the sender is named who has a key; all others are addresses
FORGOTTEN_AT_ONCE = 20  # more than one job creates
MOST_PLACES = 10_000  # that one job takes: all of them are named when it ends
LONGEST_NAMES = 128  # characters of an async job's ID, which are 32, and of a sender


@dataclass(frozen=True, slots=True)
class Origin:
    """What a queued job's ``meta`` says of the async job that waits for it.

    Attributes:
        job_id: of the async job.
        sender: whose it is.
        places: how many it takes of the sender's share.
    """

    job_id: str
    sender: str
    places: int

    def to_meta(self) -> dict[str, str | int]:
        return {"async_job": self.job_id, "sender": self.sender, "places": self.places}

    @classmethod
    def from_meta(cls, meta: dict[str, Any]) -> Self | None:
        """What ``to_meta`` wrote; None if there is no such thing, or something that can't be so."""
        match meta:
            case {"async_job": str(job_id), "sender": str(sender)} if len(job_id) + len(sender) <= LONGEST_NAMES:
                places = meta.get("places")
                return cls(job_id, sender, places if type(places) is int and 1 <= places <= MOST_PLACES else 1)
        return None


class SenderJobs:
    """Bounds what each sender has.

    Args:
        clock: Redis', which all processes go by.
        most: how many places the jobs of one sender may take, and how many jobs are kept that take none.
        most_bytes: what the pictures of as many jobs may take.
        ttl_s: how long a job is kept, in seconds.
    """

    def __init__(self, redis: Redis, clock: RedisClock, *, most: int, most_bytes: int, ttl_s: int) -> None:
        self._redis = redis
        self._clock = clock
        self._most = most
        self._place_bytes = max(1, most_bytes // most)
        self._ttl_s = ttl_s

    def places(self, size_bytes: int) -> int:
        """How many places the job of a picture takes, 1 to ``MOST_PLACES``; never more than one sender has."""
        return max(1, min(math.ceil(size_bytes / self._place_bytes), self._most, MOST_PLACES))

    def check(self, sender: str, places: int) -> list[str]:
        """Refuse another job if the sender has no places left for it; one round trip.

        Two that are created at the same instant may both find room for one.

        Returns:
            IDs of jobs that are kept no longer, to be deleted with the new one's MULTI.

        Raises:
            OverShare: it says when the first of the sender's jobs expires.
            BackendDown: Redis does not answer.
        """
        counted, ended = keys.sender_jobs(sender), keys.sender_ended_jobs(sender)
        with redis_errors(), self._redis.pipeline(transaction=False) as pipe:
            now = self._clock.now_s()
            pipe.zremrangebyscore(counted, "-inf", now)
            pipe.zcard(counted)
            pipe.zrange(counted, 0, 0, withscores=True)
            pipe.zcard(ended)
            pipe.zrange(ended, 0, FORGOTTEN_AT_ONCE - 1)
            replies: list[Any] = pipe.execute(raise_on_error=False)
            raise_refusals(replies)
        if any(isinstance(reply, Exception) for reply in replies):  # somebody has written something else there
            with redis_errors():
                self._redis.delete(counted, ended)
            return []
        _, count, first, count_ended, oldest = replies
        if count + places > self._most:
            left_s = max(1, math.ceil(first[0][1] - now))
            raise OverShare(
                "there are too many jobs of this address, or too large ones, that are not fetched: "
                "fetch some, or cancel them",
                left_s,
            )
        surplus = max(0, count_ended - self._most)
        return [job_id.decode(errors="replace") for job_id in oldest[:surplus]]

    def listed(self, sender: str) -> list[str]:
        """The IDs of the sender's jobs that Redis knows, the latest first; one round trip.

        Those that count come by the time when they were created, the others by the time when they ended.

        Raises:
            BackendDown: Redis does not answer.
        """
        with redis_errors(), self._redis.pipeline(transaction=False) as pipe:
            pipe.zrange(keys.sender_jobs(sender), 0, -1, withscores=True)
            pipe.zrange(keys.sender_ended_jobs(sender), 0, -1, withscores=True)
            replies: list[Any] = pipe.execute(raise_on_error=False)
            raise_refusals(replies)
        counted, ended = ([] if isinstance(reply, Exception) else reply for reply in replies)
        moments = {name: expires - self._ttl_s for name, expires in counted if b"/" not in name} | dict(ended)
        return [name.decode(errors="replace") for name in sorted(moments, key=moments.__getitem__, reverse=True)]

    def add(self, pipe: Pipeline, job: Origin) -> None:
        """Add to a MULTI that a job counts against its sender's share."""
        pipe.zadd(keys.sender_jobs(job.sender), dict.fromkeys(_members(job), self._clock.now_s() + self._ttl_s))
        pipe.expire(keys.sender_jobs(job.sender), self._ttl_s)

    def forget(self, pipe: Pipeline, sender: str, job_id: str) -> None:
        """Add to a MULTI that a job is deleted."""
        pipe.zrem(keys.sender_ended_jobs(sender), job_id)


def belongs_to_another(owner: str, sender: str) -> bool:
    """Whether a job of ``owner`` is not for ``sender`` to see.

    One that was sent without a key belongs to whoever knows its ID: nobody can tell more of who that is.
    """
    return owner.startswith(OF_A_KEY) and owner != sender


def count_no_more(pipe: Pipeline, job: Origin, kept_for_s: int, now_s: float) -> None:
    """Add to a MULTI that a job has failed, was cancelled or was fetched at ``now_s``.

    It is kept for ``kept_for_s`` at most.
    """
    pipe.zrem(keys.sender_jobs(job.sender), *_members(job))
    pipe.zadd(keys.sender_ended_jobs(job.sender), {job.job_id: now_s})
    pipe.expire(keys.sender_ended_jobs(job.sender), kept_for_s)


def _members(job: Origin) -> list[str]:
    return [job.job_id, *(f"{job.job_id}/{place}" for place in range(2, job.places + 1))]

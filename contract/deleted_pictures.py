"""Deleting all that Redis has of a picture, and ending its jobs: ``deleted:<job>`` says so to whoever has one in hand.

A worker looks for that mark in the MULTI that ends a job, so that no answer of a deleted picture is stored or told.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.exceptions import WatchError

from contract import keys
from contract.errors import BackendDown
from contract.messages import ClassifyJob, CopyJob
from contract.redis_clients import redis_errors
from contract.redis_clock import read_time_s
from contract.worker_registry import known_digests

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

WATCH_TRIES = 5
SHORTEST_MARK_S = 60  # a batch that is just being settled


def delete(redis: Redis, picture: str) -> bool:
    """Delete a picture's stored answers and mark its unfinished jobs, in one MULTI. Nobody joins these any more.

    Answers are found by the models and digests of the workers that are alive; others can't be read, and run out.

    Returns:
        Whether its answers could be looked for. If all workers are away, those that come back would tell them again.

    Raises:
        BackendDown: Redis does not answer or refuses to write, or new jobs for the picture came each time.
    """
    with redis_errors():
        now_s = read_time_s(redis)
        digests = known_digests(redis)
    classified = [ClassifyJob(picture, cache=True, strict=strict).computation for strict in (True, False)]
    names = [keys.inflight(model, name) for model in digests for name in [*classified, CopyJob(picture).computation]]
    names += [keys.answer(model, digest, name) for model in digests for digest in digests[model] for name in classified]
    for _ in range(WATCH_TRIES):
        with suppress(WatchError), redis_errors(), redis.pipeline() as pipe:
            _delete(pipe, keys.holders(picture), names, now_s)
            return not digests or any(digests.values())
    raise BackendDown("this picture is being sent all the time; please try again")


def _delete(pipe: Pipeline, holders: str, names: list[str], now_s: float) -> None:
    pipe.watch(holders)  # type: ignore[no-untyped-call]
    found: Any = pipe.zrangebyscore(holders, now_s, "+inf", withscores=True)
    pipe.multi()
    for raw_id, until in found:
        job_id = raw_id.decode(errors="replace")
        pipe.set(keys.deleted(job_id), 1, ex=max(SHORTEST_MARK_S, int(until - now_s)))
        pipe.delete(keys.wanted(job_id))
    pipe.delete(holders, *names)
    pipe.execute()

"""Forming a batch: take the first job that comes, and this worker's share of what already waits behind it."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from contract import keys
from model.serving.claimed_job import ClaimedJob, read_claimed_job
from model.serving.garbage import is_garbage

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis
    from rq import Queue

log = logging.getLogger(__name__)

POP_BLOCK_S = 0.5  # short, so that recovery and a stop request get their turn


@dataclass(slots=True)
class Batch:
    """What one turn took off the queue.

    Attributes:
        runnable: to compute now, together.
        unwanted: nobody waits for them any more.
        refused: valid RQ jobs, but not of ours.
        leftovers: IDs to forget: garbage, or jobs that another worker has ended meanwhile.
    """

    runnable: list[ClaimedJob] = field(default_factory=list)
    unwanted: list[ClaimedJob] = field(default_factory=list)
    refused: list[ClaimedJob] = field(default_factory=list)
    leftovers: list[bytes] = field(default_factory=list)


class Batcher:
    """Moves IDs from the queue to RQ's intermediate list, from which a crash can't lose them.

    Args:
        batch_max: most jobs in one batch.
        batch_wait_s: how long a batch that is not full waits for stragglers, in seconds, whatever its share; 0 for not
            at all.
        workers: returns how many share the queue, at least 1; called once a batch.
    """

    def __init__(
        self, redis: Redis, queue: Queue, *, batch_max: int, batch_wait_s: float, workers: Callable[[], int]
    ) -> None:
        self._redis = redis
        self._queue = queue
        self._batch_max = batch_max
        self._batch_wait_s = batch_wait_s
        self._workers = workers

    def take(self, waiting: int, most: int | None = None) -> Batch | None:
        """The next batch, or None when others have taken everything meanwhile.

        Args:
            waiting: the queue's length, which the caller has just read.
            most: jobs in it, if fewer than usual; then nothing waits for stragglers either.

        Raises:
            RedisError: Redis does not answer.
        """
        places = self._share(waiting)
        if most is None:
            taken = self._move(places)
            return self._batch(taken) if taken else None
        taken = self._move(min(most, places))
        return self._sort(list(dict.fromkeys(taken))) if taken else None

    def wait(self) -> Batch | None:
        """The next batch, or None when nothing came within ``POP_BLOCK_S``.

        Raises:
            RedisError: Redis does not answer.
        """
        taken = self._await(POP_BLOCK_S)
        if not taken:
            return None
        length: Any = self._redis.llen(self._queue.key)
        return self._batch(taken + self._move(self._share(1 + int(length)) - 1))

    def _batch(self, taken: list[bytes]) -> Batch:
        taken += self._stragglers(self._batch_max - len(taken))
        return self._sort(list(dict.fromkeys(taken)))

    def _share(self, waiting: int) -> int:
        """How many to take, so that an idle worker finds some of a short queue: docs/decisions/0012."""
        return min(self._batch_max, math.ceil(waiting / self._workers()))

    def _move(self, places: int) -> list[bytes]:
        """As many as there are, up to ``places``, in one round trip."""
        with self._redis.pipeline(transaction=False) as pipe:
            for _ in range(places):
                pipe.lmove(self._queue.key, self._queue.intermediate_queue_key)
            return [entry for entry in pipe.execute() if entry is not None]

    def _await(self, block_s: float) -> list[bytes]:
        """The next ID, if one comes within ``block_s`` seconds."""
        entry: Any = self._redis.blmove(self._queue.key, self._queue.intermediate_queue_key, block_s)  # type: ignore[arg-type]  # seconds may be a fraction
        return [] if entry is None else [entry]

    def _stragglers(self, places: int) -> list[bytes]:
        came: list[bytes] = []
        deadline = time.monotonic() + self._batch_wait_s
        while len(came) < places and (left_s := deadline - time.monotonic()) > 0:
            came += self._await(left_s)
        return came

    def _sort(self, entries: list[bytes]) -> Batch:
        ids = [entry.decode(errors="replace") for entry in entries]
        with self._redis.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.hgetall(keys.rq_job(job_id))
                pipe.exists(keys.wanted(job_id))
            replies = pipe.execute(raise_on_error=False)  # a key of another type than a job's is garbage too
        batch = Batch()
        for entry, job_id, fields, wanted in zip(entries, ids, replies[::2], replies[1::2], strict=True):
            job = self._read(job_id, fields)
            if job is None or job.ended:
                batch.leftovers.append(entry)
            elif job.task is None:
                batch.refused.append(job)
            elif not wanted:
                batch.unwanted.append(job)
            else:
                batch.runnable.append(job)
        self._isolate(batch)
        return batch

    def _read(self, job_id: str, fields: dict[bytes, bytes] | Exception) -> ClaimedJob | None:
        try:
            if isinstance(fields, Exception):
                raise fields  # noqa: TRY301
            return read_claimed_job(self._redis, self._queue.name, job_id, fields)
        except Exception as error:  # a forged hash may raise anything; it must not end the worker
            if isinstance(error, RedisError) and not is_garbage(error):
                raise  # Redis refuses: that says nothing about the job, which recovery will find
            log.warning("dropped %r from the queue: no job (%s)", job_id[:80], error)
            return None

    def _isolate(self, batch: Batch) -> None:
        """Let a job that ran before go alone, and put the others back where they were."""
        if len(batch.runnable) == 1 or not any(job.ran_before for job in batch.runnable):
            return
        first, *_ = batch.runnable
        chosen = [first] if first.ran_before else [job for job in batch.runnable if not job.ran_before]
        back = [job.id for job in batch.runnable if job not in chosen]
        batch.runnable = chosen
        with self._redis.pipeline() as pipe:
            for job_id in reversed(back):
                pipe.lrem(self._queue.intermediate_queue_key, 0, job_id)
                pipe.lpush(self._queue.key, job_id)
            pipe.execute()

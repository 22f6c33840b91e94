"""Who can do the work: the live workers of the current model, looked up in Redis at most once a second."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import harmonic_mean
from threading import Condition
from typing import TYPE_CHECKING

from api.core.errors import NoWorker
from contract import worker_registry
from contract.errors import BackendDown
from contract.redis_clients import redis_errors
from contract.redis_memory import RedisMemory, read_redis_memory
from contract.worker_registry import ALIVE_FOR_S, WorkerEntry

if TYPE_CHECKING:
    from redis import Redis

    from contract.job_queue import JobQueue

HELD_FOR_S = 1.0
STALE_FOR_S = 3.0  # a pool may be this old while somebody looks anew: in a burst of requests a look takes its time
LOOK_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPool:
    """The live workers of one model, at least one, as they were at ``seen_at`` (by ``time.monotonic``).

    Attributes:
        memory: that of the Redis through which they are reached.
        queued: the length of the requests' queue.
    """

    model: str
    digest: str
    workers: tuple[WorkerEntry, ...]
    memory: RedisMemory
    queued: int
    seen_at: float

    @property
    def mean_service_s(self) -> float:
        """What a picture costs one worker, in seconds; 0 before any has served one.

        The harmonic mean: of unequal workers the quick one does more of the pictures. One that has served none yet,
        just started, counts like the others, not like one that is infinitely quick.
        """
        known = [worker.service_ms for worker in self.workers if worker.service_ms > 0]
        return harmonic_mean(known) / 1000 if known else 0.0


@dataclass(frozen=True, slots=True)
class Destination:
    """Where jobs can be left for a model's workers, even while none of them is there: ``pool`` is None then."""

    model: str
    memory: RedisMemory
    pool: WorkerPool | None


class LiveWorkers:
    """The pool as it was a second ago (``STALE_FOR_S`` while somebody looks)."""

    def __init__(self, redis: Redis, queue: JobQueue) -> None:
        self._redis = redis
        self._queue = queue
        self._look_ended = Condition()
        self._looking = False
        self._pool: WorkerPool | None = None
        self._failure: str | None = None
        self._looked_at = float("-inf")

    def pool(self) -> WorkerPool:
        """The workers that a request can count on.

        While one request looks, others go by what was seen before, or where that is too old wait for it, at most
        ``LOOK_WITHIN_S`` seconds; a look that failed fails everybody for a second, so that a Redis that hangs does
        not make them hang one after the other.

        Raises:
            NoWorker: none is alive.
            BackendDown: Redis does not answer.
        """
        if self._is_due():
            self._look_or_wait()
        if self._failure is not None:
            raise BackendDown(self._failure)
        if self._pool is None:
            raise NoWorker("no worker is ready", ALIVE_FOR_S)
        return self._pool

    def destination(self) -> Destination:
        """Where to leave a job that nobody waits for: with the pool, or for the model that was there last.

        Raises:
            NoWorker: no worker of any model has ever been there.
            BackendDown: Redis does not answer.
        """
        try:
            pool = self.pool()
        except NoWorker:
            with redis_errors():
                model, memory = worker_registry.newest_model(self._redis), read_redis_memory(self._redis)
            if model is None:
                raise
            return Destination(model, memory, None)
        return Destination(pool.model, pool.memory, pool)

    def _look_or_wait(self) -> None:
        """All who wait are woken by the end of one look: handing a lock on took a burst of a thousand seconds."""
        with self._look_ended:
            if self._looking:
                if self._pool is not None and time.monotonic() - self._looked_at < STALE_FOR_S:
                    return
                if not self._look_ended.wait_for(lambda: not self._looking, LOOK_WITHIN_S):
                    raise BackendDown("Redis does not answer")
                return
            self._looking = True
        try:
            self._look()
        finally:
            with self._look_ended:
                self._looking = False
                self._look_ended.notify_all()

    def _is_due(self) -> bool:
        # "Nobody" is not held: the first worker to come is seen by every process at once.
        nobody = self._pool is None and self._failure is None
        return nobody or time.monotonic() - self._looked_at > HELD_FOR_S

    def _look(self) -> None:
        pool, failure = None, None
        try:
            with redis_errors():
                workers = worker_registry.live_workers(self._redis)
                memory = read_redis_memory(self._redis)
            if workers:
                newest = max(workers, key=lambda worker: worker.digest)
                pool = WorkerPool(
                    model=newest.model,
                    digest=newest.digest,
                    workers=tuple(workers),
                    memory=memory,
                    queued=self._queue.depth(newest.model),
                    seen_at=time.monotonic(),
                )
        except BackendDown as error:
            failure = str(error)
        self._pool, self._failure = pool, failure
        self._looked_at = time.monotonic()

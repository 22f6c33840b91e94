"""The live workers of the current model, read from the worker registry at most once a second."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import fmean
from threading import Condition
from typing import TYPE_CHECKING

from api.core.errors import NoWorker, without_frames
from contract import last_words, worker_registry
from contract.decoding_cost import bounded
from contract.errors import BackendDown
from contract.redis_clients import redis_errors
from contract.redis_memory import RedisMemory, read_redis_memory
from contract.send_too import nothing
from contract.worker_registry import ALIVE_FOR_S, WorkerEntry

if TYPE_CHECKING:
    from redis import Redis

    from contract.decoding_cost import DecodingCost
    from contract.job_queue import JobQueue
    from contract.send_too import SendToo

HELD_FOR_S = 1.0
STALE_FOR_S = 3.0  # a pool may be this old while it is being read again: in a burst of requests that takes a while
LOOK_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPool:
    """The live workers of one model, at least one, as they were at ``seen_at`` (by ``time.monotonic``).

    Attributes:
        memory: that of Redis.
        queued, bulk_queued: the lengths of the requests' queue and of their bulk queue at ``seen_at``.
        bulk_share: of the workers that serve the bulk queues, and of their time while others wait.
    """

    model: str
    digest: str
    workers: tuple[WorkerEntry, ...]
    memory: RedisMemory
    queued: int
    bulk_queued: int = 0
    bulk_share: float = 0.5
    seen_at: float

    @property
    def mean_service_s(self) -> float:
        """A worker's time per picture, in seconds; 0 before any has served one.

        The harmonic mean: of unequal workers the faster one computes more of the pictures. A worker that has just
        started and served none counts like the others, not as infinitely fast.
        """
        known = [worker.service_ms for worker in self.workers if worker.service_ms > 0]
        return len(known) / sum(1 / ms for ms in known) / 1000 if known else 0.0

    @property
    def bulk_workers(self) -> int:
        """How many workers take costly pictures at a time; 0 if none knows the bulk queue, as during an upgrade."""
        known = sum(worker.bulk_ms is not None for worker in self.workers)
        return worker_registry.most_bulk_workers(known, self.bulk_share) if known else 0

    @property
    def makes_copies(self) -> bool:
        """Whether any of them makes copies of pictures to show; none does that is older than this API."""
        return any(worker.makes_copies for worker in self.workers)

    @property
    def mean_bulk_s(self) -> float:
        """A worker's time per job of the bulk queue, in seconds; 0 before any has served one."""
        measured = [worker.bulk_ms for worker in self.workers if worker.bulk_ms]
        return fmean(measured) / 1000 if measured else 0.0

    def decoding_s(self, cost: DecodingCost) -> float:
        """What decoding a picture is expected to take a worker, in seconds, by what they have learned."""
        learned = [worker.cost_factors[cost.kind] for worker in self.workers if cost.kind in worker.cost_factors]
        return cost.ms / 1000 * (bounded(fmean(learned)) if learned else 1.0)


@dataclass(frozen=True, slots=True)
class Destination:
    """The model whose queue takes async jobs; ``pool`` is None while none of its workers is alive."""

    model: str
    memory: RedisMemory
    pool: WorkerPool | None


class LiveWorkers:
    """The pool, at most ``HELD_FOR_S`` old (``STALE_FOR_S`` while it is being read again).

    Attributes:
        send_too: adds what goes along when the registry is read.
    """

    def __init__(self, redis: Redis, queue: JobQueue, *, bulk_share: float = 0.5) -> None:
        self._redis = redis
        self._bulk_share = bulk_share
        self._queue = queue
        self._look_ended = Condition()
        self._looking = False
        self._pool: WorkerPool | None = None
        self._failure: BackendDown | None = None
        self._looked_at = float("-inf")
        self.send_too: SendToo = nothing

    def pool(self) -> WorkerPool:
        """The workers that a request can rely on.

        While one request reads the registry, others use what was read before or, if that is too old, wait for it, at
        most ``LOOK_WITHIN_S`` seconds. A failed look fails all requests for a second, so that they don't hang one after
        the other on a Redis that hangs.

        Raises:
            NoWorker: none is alive.
            BackendDown: Redis does not answer.
        """
        if self._is_due():
            self._look_or_wait()
        if self._failure is not None:
            raise BackendDown(str(self._failure), cause=self._failure.cause)
        if self._pool is None:
            raise NoWorker("no worker is ready", ALIVE_FOR_S)
        return self._pool

    def why_none(self) -> str | None:
        """What the last worker that could not begin has left to say, if there was one lately.

        Raises:
            BackendDown: Redis does not answer.
        """
        with redis_errors():
            return last_words.read(self._redis)

    def destination(self) -> Destination:
        """Where to queue an async job: for the live workers, or else for the model registered last.

        Raises:
            NoWorker: no worker of any model was ever registered.
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
        """The end of one look wakes all who wait: handing on a lock took a burst of 1,000 requests seconds."""
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
        # An empty registry is not held for long: every process sees the first worker at once.
        empty = self._pool is None and self._failure is None
        return empty or time.monotonic() - self._looked_at > HELD_FOR_S

    def _look(self) -> None:
        pool, failure = None, None
        try:
            with redis_errors():
                workers = worker_registry.live_workers(self._redis, self.send_too)
                memory = read_redis_memory(self._redis)
            if workers:
                newest = max(workers, key=lambda worker: worker.digest)
                pool = WorkerPool(
                    model=newest.model,
                    digest=newest.digest,
                    workers=tuple(workers),
                    memory=memory,
                    queued=self._queue.depth(newest.model),
                    bulk_queued=self._queue.bulk_depth(newest.model),
                    bulk_share=self._bulk_share,
                    seen_at=time.monotonic(),
                )
        except BackendDown as error:
            failure = without_frames(error)
        self._pool, self._failure = pool, failure
        self._looked_at = time.monotonic()

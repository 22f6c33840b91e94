"""The five queues of one version of a model, and everything that belongs to each of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from rq import Queue

from contract.job_queue import (
    SERIALIZER,
    async_queue_name,
    bulk_async_queue_name,
    bulk_queue_name,
    copies_queue_name,
    queue_name,
)
from model.serving.batcher import Batcher
from model.serving.recovery import Recovery
from model.serving.settlement import Settlement

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from contract.redis_clock import RedisClock

ASYNC_BATCH = 4  # a request waits for the batch in hand; docs/decisions/0012: larger ones make a picture no cheaper


class Kind(Enum):
    """What a queue's work is to the worker. Copies are among what is costly for requests."""

    REQUESTS = auto()
    ASYNC_JOBS = auto()
    BULK = auto()
    BULK_ASYNC_JOBS = auto()


@dataclass(frozen=True, slots=True)
class ServedQueue:
    """One queue of ``model``, a ``ModelVersion.key``."""

    model: str
    kind: Kind
    batcher: Batcher
    settlement: Settlement
    recovery: Recovery
    queue: Queue

    @property
    def bulk(self) -> bool:
        """Whether it has a share of the worker's time instead of its turn."""
        return self.kind in {Kind.BULK, Kind.BULK_ASYNC_JOBS}

    @property
    def key(self) -> str:
        return str(self.queue.key)


class ModelQueues:
    """Of requests, of costly pictures, of copies, of async jobs and of costly async jobs.

    Args:
        model: whose jobs they are, a ``ModelVersion.key``.
        worker_name: RQ's name of this worker.
        batch_max, batch_wait_s, workers: as ``Batcher`` takes them.
        makes_copies: whether this worker takes jobs for copies at all.
        answer_ttl_s, clock, clear_shared_keys: as ``Settlement`` takes them.

    Attributes:
        requests: the queue of requests.
        all: every queue; of one kind, in the order in which they are looked at.
    """

    def __init__(
        self,
        redis: Redis,
        model: str,
        worker_name: str,
        *,
        batch_max: int,
        batch_wait_s: float,
        answer_ttl_s: int,
        workers: Callable[[], int],
        clock: RedisClock,
        makes_copies: bool,
        clear_shared_keys: Callable[[], object],
    ) -> None:
        def served(name: str, kind: Kind, batch_max: int, batch_wait_s: float = 0.0) -> ServedQueue:
            queue = Queue(name, connection=redis, serializer=SERIALIZER)
            settlement = Settlement(
                redis,
                queue,
                model=model,
                answer_ttl_s=answer_ttl_s,
                worker_name=worker_name,
                clock=clock,
                clear_shared_keys=clear_shared_keys,
            )
            return ServedQueue(
                model,
                kind,
                Batcher(redis, queue, batch_max=batch_max, batch_wait_s=batch_wait_s, workers=workers),
                settlement,
                Recovery(redis, queue, settlement, clock, batch_wait_s=batch_wait_s),
                queue,
            )

        self.model = model
        self.requests = served(queue_name(model), Kind.REQUESTS, batch_max, batch_wait_s)
        bulk = served(bulk_queue_name(model), Kind.BULK, 1)
        copies = served(copies_queue_name(model), Kind.BULK, 1)
        async_jobs = served(async_queue_name(model), Kind.ASYNC_JOBS, min(batch_max, ASYNC_BATCH))
        bulk_async_jobs = served(bulk_async_queue_name(model), Kind.BULK_ASYNC_JOBS, 1)
        self.all = (self.requests, bulk, *([copies] if makes_copies else []), async_jobs, bulk_async_jobs)

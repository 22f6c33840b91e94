"""The five queues of one version of a model, and everything that belongs to each of them."""

from __future__ import annotations

from dataclasses import dataclass
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

ASYNC_BATCH = 4  # a request waits for the batch in hand; docs/decisions/0012: larger ones make a picture no cheaper


@dataclass(frozen=True, slots=True)
class ServedQueue:
    """One queue of ``model``, a ``ModelVersion.key``."""

    model: str
    batcher: Batcher
    settlement: Settlement
    recovery: Recovery
    queue: Queue
    bulk: bool

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
        answer_ttl_s, clear_shared_keys: as ``Settlement`` takes them.

    Attributes:
        copies: none for a worker that makes none.
        all: in the order in which they are looked at by default.
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
        makes_copies: bool,
        clear_shared_keys: Callable[[], object],
    ) -> None:
        def served(name: str, batch_max: int, batch_wait_s: float, *, bulk: bool = False) -> ServedQueue:
            queue = Queue(name, connection=redis, serializer=SERIALIZER)
            settlement = Settlement(
                redis,
                queue,
                model=model,
                answer_ttl_s=answer_ttl_s,
                worker_name=worker_name,
                clear_shared_keys=clear_shared_keys,
            )
            return ServedQueue(
                model,
                Batcher(redis, queue, batch_max=batch_max, batch_wait_s=batch_wait_s, workers=workers),
                settlement,
                Recovery(redis, queue, settlement, batch_wait_s=batch_wait_s),
                queue,
                bulk,
            )

        self.model = model
        self.requests = served(queue_name(model), batch_max, batch_wait_s)
        self.bulk = served(bulk_queue_name(model), 1, batch_wait_s=0.0, bulk=True)
        self.async_jobs = served(async_queue_name(model), min(batch_max, ASYNC_BATCH), batch_wait_s=0.0)
        self.bulk_async_jobs = served(bulk_async_queue_name(model), 1, batch_wait_s=0.0, bulk=True)
        copies = served(copies_queue_name(model), 1, batch_wait_s=0.0, bulk=True)
        self.copies = [copies] if makes_copies else []
        self.all = (self.requests, self.bulk, *self.copies, self.async_jobs, self.bulk_async_jobs)

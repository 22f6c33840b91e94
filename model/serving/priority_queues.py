"""The queues that a worker serves, and everything that belongs to each of them.

Requests, for which somebody waits, go first; async jobs have time. Of both, costly pictures are on bulk queues, which
have a share of the workers and of their time. Pictures that somebody wants to see are a part of that share.
RQ's own workers take their queues in order too.
"""

from __future__ import annotations

import time
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

    from model.serving.batcher import Batch

ASYNC_BATCH = 4  # a request waits for the batch in hand; docs/decisions/0012: larger ones make a picture no cheaper
ASYNC_TURN = 20  # every so many turns async jobs go first: under a load that never ends they get a twentieth of it

BULK_DUE_S = 0.25  # that bulk is behind its share before it goes first; a look at an empty queue is rarer so
BULK_MEMORY_S = 5.0  # of what is due to either side


@dataclass(frozen=True, slots=True)
class ServedQueue:
    batcher: Batcher
    settlement: Settlement
    recovery: Recovery
    key: str
    bulk: bool


class PriorityQueues:
    """The queues of requests, of costly pictures and of async jobs; a batch comes from one of them, never from both.

    In a batch of both a request would wait for jobs that nobody is waiting for.

    Args:
        model: whose jobs they are.
        worker_name: RQ's name of this worker.
        batch_max, batch_wait_s, workers: as ``Batcher`` takes them.
        serves_bulk: whether this worker is to take costly pictures now.
        bulk_share: of its time, while others wait, that these have.
        makes_copies: whether this worker takes jobs for copies at all.
        answer_ttl_s, clear_shared_keys: as ``Settlement`` takes them.
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
        serves_bulk: Callable[[], bool],
        bulk_share: float,
        makes_copies: bool = False,
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
                Batcher(redis, queue, batch_max=batch_max, batch_wait_s=batch_wait_s, workers=workers),
                settlement,
                Recovery(redis, queue, settlement, batch_wait_s=batch_wait_s),
                queue.key,
                bulk,
            )

        self._redis = redis
        self._requests = served(queue_name(model), batch_max, batch_wait_s)
        self._bulk = served(bulk_queue_name(model), 1, batch_wait_s=0.0, bulk=True)
        self._async_jobs = served(async_queue_name(model), min(batch_max, ASYNC_BATCH), batch_wait_s=0.0)
        self._bulk_async_jobs = served(bulk_async_queue_name(model), 1, batch_wait_s=0.0, bulk=True)
        copies = served(copies_queue_name(model), 1, batch_wait_s=0.0, bulk=True)
        self._copies = [copies] if makes_copies else []
        self._all = (self._requests, self._bulk, *self._copies, self._async_jobs, self._bulk_async_jobs)
        self._bulk_share = bulk_share
        self._serves_bulk = serves_bulk
        self._turn = 0
        self._bulk_due_s = 0.0
        self._in_hand: ServedQueue | None = None
        self._taken_at = 0.0

    def recover(self) -> None:
        """Bring back what died workers had in hand.

        Raises:
            RedisError: Redis does not answer.
        """
        for queue in self._all:
            queue.recovery.run_if_due()

    def take(self) -> tuple[ServedQueue, Batch] | None:
        """The next batch and its queue, or None when nothing came within ``POP_BLOCK_S``.

        While nothing waits, a request is taken at once, and an async job within ``POP_BLOCK_S``: Redis can move the
        next entry of one list only.

        Raises:
            RedisError: Redis does not answer.
        """
        self._account()
        waiting = self._lengths()
        for queue in self._order():
            batch = queue.batcher.take(waiting[queue.key]) if waiting[queue.key] else None
            if batch is not None:
                return self._begun(queue, batch)
        batch = self._requests.batcher.wait()
        return None if batch is None else self._begun(self._requests, batch)

    def _lengths(self) -> dict[str, int]:
        """How many wait on each queue, in one round trip."""
        with self._redis.pipeline(transaction=False) as pipe:
            for queue in self._all:
                pipe.llen(queue.key)
            return dict(zip((queue.key for queue in self._all), pipe.execute(), strict=True))

    def _order(self) -> list[ServedQueue]:
        """Requests, async jobs, and of both what is costly; this goes first when it has had too little of the time."""
        self._turn += 1
        queues = [self._requests, self._async_jobs]
        if self._turn % ASYNC_TURN == 0:
            queues.reverse()
        if not self._serves_bulk():
            return queues
        if self._bulk_due_s > BULK_DUE_S:
            self._bulk_due_s = 0.0  # unless it has something, in which case its time is counted
            return [self._bulk, *self._copies, self._bulk_async_jobs, *queues]
        after_requests = queues.index(self._requests) + 1
        queues[after_requests:after_requests] = [self._bulk, *self._copies]
        return [*queues, self._bulk_async_jobs]

    def _begun(self, queue: ServedQueue, batch: Batch) -> tuple[ServedQueue, Batch]:
        self._in_hand, self._taken_at = queue, time.monotonic()
        return queue, batch

    def _account(self) -> None:
        """Time for bulk is taken off what is due to it, time for others brings it its share of that."""
        if self._in_hand is None:
            return
        elapsed_s = time.monotonic() - self._taken_at
        due_s = self._bulk_due_s + elapsed_s * (self._bulk_share - 1 if self._in_hand.bulk else self._bulk_share)
        self._bulk_due_s = max(-BULK_MEMORY_S, min(BULK_MEMORY_S, due_s)) if self._serves_bulk() else 0.0
        self._in_hand = None

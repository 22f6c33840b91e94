"""The two queues that a worker serves, and everything that belongs to each of them.

Requests, for which somebody waits, go first; async jobs have time. RQ's own workers take their queues in order too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rq import Queue

from contract.job_queue import SERIALIZER, async_queue_name, queue_name
from model.serving.batcher import Batcher
from model.serving.recovery import Recovery
from model.serving.settlement import Settlement

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from model.serving.batcher import Batch

ASYNC_BATCH = 4  # a request waits for the batch in hand; docs/decisions/0012: larger ones make a picture no cheaper
ASYNC_TURN = 20  # every so many turns async jobs go first: under a load that never ends they get a twentieth of it


@dataclass(frozen=True, slots=True)
class ServedQueue:
    batcher: Batcher
    settlement: Settlement
    recovery: Recovery


class PriorityQueues:
    """The queue of requests and that of async jobs; a batch comes from one of them, never from both.

    In a batch of both a request would wait for jobs that nobody is waiting for.

    Args:
        model: whose jobs they are.
        worker_name: RQ's name of this worker.
        batch_max, batch_wait_s, workers: as ``Batcher`` takes them.
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
        clear_shared_keys: Callable[[], object],
    ) -> None:
        def served(name: str, batch_max: int, batch_wait_s: float) -> ServedQueue:
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
            )

        self._requests = served(queue_name(model), batch_max, batch_wait_s)
        self._async_jobs = served(async_queue_name(model), min(batch_max, ASYNC_BATCH), batch_wait_s=0.0)
        self._turn = 0

    def recover(self) -> None:
        """Bring back what died workers had in hand.

        Raises:
            RedisError: Redis does not answer.
        """
        self._requests.recovery.run_if_due()
        self._async_jobs.recovery.run_if_due()

    def take(self) -> tuple[ServedQueue, Batch] | None:
        """The next batch and its queue, or None when nothing came within ``POP_BLOCK_S``.

        While nothing waits, a request is taken at once, and an async job within ``POP_BLOCK_S``: Redis can move the
        next entry of one list only.

        Raises:
            RedisError: Redis does not answer.
        """
        self._turn += 1
        queues = [self._requests, self._async_jobs]
        if self._turn % ASYNC_TURN == 0:
            queues.reverse()
        for queue in queues:
            batch = queue.batcher.take()
            if batch is not None:
                return queue, batch
        batch = self._requests.batcher.take(block=True)
        return None if batch is None else (self._requests, batch)

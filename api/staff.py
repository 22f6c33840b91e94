"""Who can do the work: the live workers of the current model, looked up in Redis at most once a second."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from api.errors import NoWorker
from contract.errors import QueueUnavailable
from contract.queue_memory import QueueMemory, read_queue_memory
from contract.roster import ALIVE_FOR_S, WorkerCard, workers_alive

if TYPE_CHECKING:
    from redis import Redis

    from contract.job_queue import JobQueue

HELD_FOR_S = 1.0
LOOK_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Crew:
    """The live workers of one model, at least one; ``digest`` is that of the highest generation among them.

    ``memory`` is that of the Redis through which they are reached.
    """

    model: str
    digest: str
    workers: tuple[WorkerCard, ...]
    memory: QueueMemory

    def expected_wait_s(self, depth: int) -> float:
        """How long a picture queued now waits for its answer, in seconds, behind ``depth`` others.

        Every worker has, on average, half a batch in hand; each picture costs the workers' mean service time. Behind
        nobody it is 0, whatever the service time: a service that refused while idle would never learn better.
        """
        if depth == 0:
            return 0.0
        mean_service_s = sum(worker.service_ms for worker in self.workers) / len(self.workers) / 1000
        in_hand = sum(worker.batch for worker in self.workers) / 2
        return (depth + in_hand) * mean_service_s / len(self.workers)


class Staff:
    """The crew as of at most a second ago.

    ``depth`` is the length of its queue as it was last seen, by the crew's own look or by any request's.
    """

    def __init__(self, redis: Redis, queue: JobQueue) -> None:
        self._redis = redis
        self._queue = queue
        self._lock = Lock()
        self.depth = 0
        self._crew: Crew | None = None
        self._failure: QueueUnavailable | None = None
        self._looked_at = float("-inf")

    def crew(self) -> Crew:
        """The workers that a request can count on.

        While one request looks, others wait for it, at most ``LOOK_WITHIN_S`` seconds; a look that failed fails
        everybody for a second, so that a Redis that hangs does not make them hang one after the other.

        Raises:
            NoWorker: none is alive.
            QueueUnavailable: Redis does not answer.
        """
        if self._is_due():
            if not self._lock.acquire(timeout=LOOK_WITHIN_S):
                raise QueueUnavailable("Redis does not answer")
            try:
                if self._is_due():
                    self._look()
            finally:
                self._lock.release()
        if self._failure is not None:
            raise self._failure
        if self._crew is None:
            raise NoWorker("no worker is ready", ALIVE_FOR_S)
        return self._crew

    def _is_due(self) -> bool:
        # "Nobody" is not held: the first worker to come is seen by every process at once.
        nobody = self._crew is None and self._failure is None
        return nobody or time.monotonic() - self._looked_at > HELD_FOR_S

    def _look(self) -> None:
        self._crew, self._failure = None, None
        try:
            cards, memory = workers_alive(self._redis), read_queue_memory(self._redis)
            if cards:
                newest = max(cards, key=lambda card: card.generation)
                self._crew = Crew(newest.model, newest.digest, tuple(cards), memory)
                self.depth = self._queue.depth(newest.model)
        except RedisError as error:
            self._failure = QueueUnavailable(f"Redis does not answer: {error}")
        except QueueUnavailable as error:
            self._failure = error
        self._looked_at = time.monotonic()

"""Who can do the work: the live workers of the current model, looked up in Redis at most once a second."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import harmonic_mean
from threading import Condition, Lock
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from api.errors import NoWorker
from contract.errors import QueueUnavailable
from contract.queue_memory import QueueMemory, read_queue_memory
from contract.roster import ALIVE_FOR_S, WorkerCard, newest_model, workers_alive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from contract.job_queue import JobQueue

HELD_FOR_S = 1.0
STALE_FOR_S = 3.0  # a crew may be this old while somebody looks anew: in a burst of requests a look takes its time
LOOK_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Crew:
    """The live workers of one model, at least one; ``digest`` is that of the highest generation among them.

    ``memory`` is that of the Redis through which they are reached.
    """

    model: str
    digest: str
    workers: tuple[WorkerCard, ...]
    memory: QueueMemory

    @property
    def mean_service_s(self) -> float:
        """What a picture costs one worker, in seconds; 0 before any has served one.

        The harmonic mean: of unequal workers the quick one does more of the pictures. Who has served none yet, just
        started, counts like the others, not like one that is infinitely quick.
        """
        known = [worker.service_ms for worker in self.workers if worker.service_ms > 0]
        return harmonic_mean(known) / 1000 if known else 0.0

    def expected_wait_s(self, depth: float) -> float:
        """How long a picture queued now waits for its answer, in seconds, behind ``depth`` others.

        Every worker has, on average, half a batch in hand, and the answer comes with those of its own batch, half of
        which are behind it; each picture costs the workers' mean service time. Behind nobody it is 0, whatever the
        service time: a service that refused while idle would never learn better.
        """
        if depth < 1:
            return 0.0
        batches = sum(worker.batch for worker in self.workers)
        ahead = depth + batches / 2
        behind = min(depth, batches) / 2
        return (ahead + behind) * self.mean_service_s / len(self.workers)


@dataclass(frozen=True, slots=True)
class Address:
    """Where work can be left for a model's workers, even while none of them is there: ``crew`` is None then."""

    model: str
    memory: QueueMemory
    crew: Crew | None


class Staff:
    """The crew as it was a second ago (``STALE_FOR_S`` while somebody looks), and the queue's length when last seen."""

    def __init__(self, redis: Redis, queue: JobQueue) -> None:
        self._redis = redis
        self._queue = queue
        self._on_their_way = 0
        self._counting = Lock()
        self._look_ended = Condition()
        self._looking = False
        self._depth = 0
        self._depth_seen_at = float("-inf")
        self._crew: Crew | None = None
        self._failure: str | None = None
        self._looked_at = float("-inf")

    def crew(self) -> Crew:
        """The workers that a request can count on.

        While one request looks, others go by what was seen before, or where that is too old wait for it, at most
        ``LOOK_WITHIN_S`` seconds; a look that failed fails everybody for a second, so that a Redis that hangs does
        not make them hang one after the other.

        Raises:
            NoWorker: none is alive.
            QueueUnavailable: Redis does not answer.
        """
        if self._is_due():
            self._look_or_wait()
        if self._failure is not None:
            raise QueueUnavailable(self._failure)
        if self._crew is None:
            raise NoWorker("no worker is ready", ALIVE_FOR_S)
        return self._crew

    def address(self) -> Address:
        """Where to leave what nobody waits for: with the crew, or for the model that was there last.

        Raises:
            NoWorker: no worker of any model has ever been there.
            QueueUnavailable: Redis does not answer.
        """
        try:
            crew = self.crew()
        except NoWorker:
            try:
                model, memory = newest_model(self._redis), read_queue_memory(self._redis)
            except RedisError as error:
                raise QueueUnavailable(f"Redis does not answer: {error}") from error
            if model is None:
                raise
            return Address(model, memory, None)
        return Address(crew.model, crew.memory, crew)

    def saw(self, depth: int) -> None:
        """Somebody has just learnt how long the queue is."""
        self._depth, self._depth_seen_at = depth, time.monotonic()

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """One more job is on its way into the queue while the context lasts, and counts as being in it.

        Else all that a burst brings would find the queue as short as it was before the first of them had arrived.
        """
        with self._counting:
            self._on_their_way += 1
        try:
            yield
        finally:
            with self._counting:
                self._on_their_way -= 1

    def depth(self, crew: Crew) -> float:
        """How long the queue is now, as far as this process knows, with the jobs that it is just submitting.

        What ``crew`` has worked off since the queue was last seen is taken off: while requests are refused nobody
        looks, and the workers would run dry before the next look.
        """
        if self._depth == 0 or crew.mean_service_s == 0:
            return float(self._depth + self._on_their_way)
        worked_off = (time.monotonic() - self._depth_seen_at) * len(crew.workers) / crew.mean_service_s
        return max(0.0, self._depth - worked_off) + self._on_their_way

    def _look_or_wait(self) -> None:
        """All who wait are woken by the end of one look: handing a lock on took a burst of a thousand seconds."""
        with self._look_ended:
            if self._looking:
                if self._crew is not None and time.monotonic() - self._looked_at < STALE_FOR_S:
                    return
                if not self._look_ended.wait_for(lambda: not self._looking, LOOK_WITHIN_S):
                    raise QueueUnavailable("Redis does not answer")
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
        nobody = self._crew is None and self._failure is None
        return nobody or time.monotonic() - self._looked_at > HELD_FOR_S

    def _look(self) -> None:
        crew, failure = None, None
        try:
            cards, memory = workers_alive(self._redis), read_queue_memory(self._redis)
            if cards:
                newest = max(cards, key=lambda card: (card.generation, card.digest))
                crew = Crew(newest.model, newest.digest, tuple(cards), memory)
                self.saw(self._queue.depth(newest.model))
        except RedisError as error:
            failure = f"Redis does not answer: {error}"
        except QueueUnavailable as error:
            failure = str(error)
        self._crew, self._failure = crew, failure
        self._looked_at = time.monotonic()

"""Every rule that admits a request or refuses it: expected wait, places, room in Redis. Bodies: see ``body_room``.

A refusal is immediate and says when to try again; what is admitted is answered in time.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from api.core.errors import Overloaded
from api.core.routing import possible
from contract.errors import RETRY_LATER_S, OverShare
from contract.model_task import ModelTask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.core.live_workers import Destination, LiveWorkers, Neighbour, WorkerPool
    from contract.deadline import Deadline
    from contract.model_version import WantedModel

ADMITTED_SHARE = 0.5  # of its deadline that a request may expect to wait; the rest covers errors of the expectation


class Admission:
    """One per API process; safe to use from many requests at once.

    Args:
        max_in_flight: the most requests that this process answers at a time; of one sender, half as many.
        fallback_model: the name of the one that answers for others; "" for none.
    """

    def __init__(self, live_workers: LiveWorkers, *, max_in_flight: int, fallback_model: str = "") -> None:
        self._live_workers = live_workers
        self._fallback_model = fallback_model
        self._most, self._most_of_one = max_in_flight, max(1, max_in_flight // 2)
        self._in_flight: Counter[str] = Counter()
        self._lock = Lock()
        self._submitting: Counter[str] = Counter()
        self._depths: dict[str, _Seen] = {}
        self._bulk_depths: dict[str, _Seen] = {}

    def check_before_body(
        self, deadline: Deadline, model: WantedModel | None = None, task: ModelTask | None = ModelTask.CLASSIFICATION
    ) -> None:
        """Refuse a request before its body is read if it would be refused after: a refusal must cost next to nothing.

        It uses what this process knows of the queue. ``check`` may know more, and also checks Redis' memory, which a
        request for a stored answer does not need.

        Args:
            model: what the request's query names. If it names none the body may, and any model may be the one.
            task: what the model must be for; None if any will do.

        Raises:
            UnknownModel, OtherTask: there is no such model.
            Overloaded, NoWorker, BackendDown: not now; the error says when to try again.
        """
        fleet = self._live_workers.fleet()
        fitting = [pool for pool in fleet.pools.values() if task is None or fleet.task(pool.version) == task]
        pools = (fitting if model is None else []) or possible(fleet, model, task, self._fallback_model)
        _refuse_beyond(min(self.expected_wait_s(pool) for pool in pools), deadline)

    def check(self, pool: WorkerPool, deadline: Deadline, *, own_s: float = 0.0, bulk: bool = False) -> None:
        """Refuse a new job that would not be answered in time, or for which Redis has no room.

        A job for the bulk queue is judged by that queue only, any other by the ordinary one.

        Args:
            own_s: what its picture is expected to take a worker, in seconds.

        Raises:
            Overloaded: it says when to try again.
        """
        if pool.memory.nearly_full:
            raise Overloaded("the service is busy: its queue has no room left")
        if bulk:
            _refuse_beyond(self._expected_bulk_wait_s(pool), deadline, own_s)
        else:
            _refuse_beyond(self.expected_wait_s(pool), deadline, own_s)

    def check_async(self, destination: Destination, expected_wait_s: float, ttl_s: int) -> None:
        """Refuse an async job that could not be kept: Redis needs room for requests too, or it would expire unanswered.

        Raises:
            Overloaded: it says when to try again.
        """
        if destination.memory.full_of_async_jobs:
            raise Overloaded("the service is busy: its queue has no room left for jobs", RETRY_LATER_S)
        excess_s = expected_wait_s - ADMITTED_SHARE * ttl_s
        if excess_s > 0:
            raise Overloaded("the service is busy: too many jobs wait already", math.ceil(excess_s))

    @contextmanager
    def place(self, sender: str) -> Iterator[None]:
        """Take one of this process's places while the context lasts.

        Raises:
            Overloaded: none is left.
            OverShare: none is left for this sender.
        """
        with self._lock:
            if self._in_flight.total() >= self._most:
                raise Overloaded("this service is answering as many requests as it can")
            if self._in_flight[sender] >= self._most_of_one:
                raise OverShare(f"{self._in_flight[sender]} requests of this address are being answered already")
            self._in_flight[sender] += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_flight[sender] -= 1
                if not self._in_flight[sender]:
                    del self._in_flight[sender]

    def saw_bulk_depth(self, model: str, depth: int) -> None:
        """Note the length of a model's bulk queue, which a request has just read."""
        self._bulk_depths[model] = _Seen(depth, time.monotonic())

    def saw_depth(self, model: str, depth: int) -> None:
        """Note the length of a model's queue, which a request has just read."""
        self._depths[model] = _Seen(depth, time.monotonic())

    @contextmanager
    def submitting(self, model: str) -> Iterator[None]:
        """Count one more job of the model as queued while the context lasts, in which it is being submitted.

        Otherwise every request of a burst would see the queue as short as it was before the first of them.
        """
        with self._lock:
            self._submitting[model] += 1
        try:
            yield
        finally:
            with self._lock:
                self._submitting[model] -= 1

    def expected_wait_s(self, pool: WorkerPool, behind: int = 0) -> float:
        """How long a job queued now waits for its answer, in seconds, if it is also behind ``behind`` others.

        What the same workers serve beside it counts too, but no more of each than of its own: they take turns by time.
        """
        own_s = expected_wait_s(pool, self._queued(pool) + behind)
        return own_s + sum(min(own_s, self._work_s(neighbour)) for neighbour in pool.neighbours)

    def _work_s(self, neighbour: Neighbour) -> float:
        """How long its waiting requests keep the workers that a version shares with it, in seconds."""
        pool = neighbour.pool
        return self._queued(pool) * pool.mean_service_s / len(pool.workers) * neighbour.share

    def _expected_bulk_wait_s(self, pool: WorkerPool) -> float:
        """How long a job waits for its turn on the bulk queue, in seconds; behind an empty queue, 0."""
        seen = self._bulk_depths.get(pool.model)
        depth = seen.depth if seen is not None and seen.at > pool.seen_at else pool.bulk_queued
        of_their_time = pool.bulk_share if self._queued(pool) >= 1 else 1.0
        return depth * pool.mean_bulk_s / (pool.bulk_workers * of_their_time)

    def _queued(self, pool: WorkerPool) -> float:
        """The queue's length now, as far as this process knows, with the jobs that it is submitting.

        What ``pool`` has computed since the length was last read is subtracted: while requests are refused, the length
        is not read, and without this the workers would run out of jobs before it is read again.
        """
        seen, submitting = self._depths.get(pool.model), self._submitting[pool.model]
        if seen is None or pool.seen_at > seen.at:
            seen = _Seen(pool.queued, pool.seen_at)
        if seen.depth == 0 or pool.mean_service_s == 0:
            return float(seen.depth + submitting)
        computed = (time.monotonic() - seen.at) * len(pool.workers) / pool.mean_service_s
        return max(0.0, seen.depth - computed) + submitting


@dataclass(frozen=True, slots=True)
class _Seen:
    """A queue's length, and when it was so, by ``time.monotonic``."""

    depth: int
    at: float


def _refuse_beyond(wait_s: float, deadline: Deadline, own_s: float = 0.0) -> None:
    """Behind an empty queue nothing is refused: a picture that takes longer than its deadline never gets here."""
    left_s = deadline.left_s
    excess_s = max(wait_s - ADMITTED_SHARE * left_s, wait_s + own_s - left_s)
    if wait_s > 0 and excess_s > 0:
        raise Overloaded("the service is busy: its queue is too long for this request", max(1, math.ceil(excess_s)))


def expected_wait_s(pool: WorkerPool, depth: float) -> float:
    """How long a picture queued now waits for its answer, in seconds, behind ``depth`` others.

    Every worker has, on average, half a batch in progress, and the answer is sent with those of its own batch, half of
    which are behind it; each picture costs the workers' mean service time. With an empty queue it is 0, whatever the
    service time: a service that refused while idle would never measure a better one.
    """
    if depth < 1:
        return 0.0
    batches = sum(worker.batch for worker in pool.workers)
    ahead = depth + batches / 2
    behind = min(depth, batches) / 2
    return (ahead + behind) * pool.mean_service_s / len(pool.workers)

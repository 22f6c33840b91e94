"""Every rule that lets a request in or refuses it: expected wait, places, room in Redis, room for bodies.

A refusal comes at once and says when to come again; what is let in is answered in time.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING

from api.core.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.core.live_workers import Destination, LiveWorkers, WorkerPool
    from contract.deadline import Deadline

ADMITTED_SHARE = 0.5  # of its deadline a request may expect to wait; the rest is for what the expectation misses
BODY_BYTES = 250_000_000  # docs/deployment.md adds up what a container needs with it


class Admission:
    """One per API process; safe to use from many requests at once.

    Args:
        max_in_flight: requests that this process answers at a time.
        body_bytes: bytes of request bodies that it reads at a time.
    """

    def __init__(self, live_workers: LiveWorkers, *, max_in_flight: int, body_bytes: int = BODY_BYTES) -> None:
        self._live_workers = live_workers
        self._places = BoundedSemaphore(max_in_flight)
        self._body_bytes = body_bytes
        self._body_bytes_taken = 0
        self._lock = Lock()
        self._submitting = 0
        self._depth, self._depth_seen_at = 0, float("-inf")

    def check_before_body(self, deadline: Deadline) -> None:
        """Refuse, before its body is read, a request that would be refused after: a refusal must cost next to nothing.

        It goes by what this process knows of the queue. ``check`` may see more, and looks at Redis' memory, which an
        answer that is known already does not need.

        Raises:
            Overloaded, NoWorker, BackendDown: not now; the error says when to come again.
        """
        self._check_wait(self._live_workers.pool(), deadline)

    def check(self, pool: WorkerPool, deadline: Deadline) -> None:
        """Refuse a new job that would not be answered in time, or for which Redis has no room.

        Raises:
            Overloaded: it says when to come again.
        """
        if pool.memory.nearly_full:
            raise Overloaded("the service is busy: its queue has no room left")
        self._check_wait(pool, deadline)

    def check_async(self, destination: Destination, expected_wait_s: float, ttl_s: int) -> None:
        """Refuse an async job that could not be kept: Redis needs room for requests beside them, and they expire.

        Raises:
            Overloaded: it says when to come again.
        """
        if destination.memory.full_of_async_jobs:
            raise Overloaded("the service is busy: its queue has no room left for jobs")
        excess_s = expected_wait_s - ADMITTED_SHARE * ttl_s
        if excess_s > 0:
            raise Overloaded("the service is busy: too many jobs wait already", math.ceil(excess_s))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take one of this process's places while the context lasts.

        Raises:
            Overloaded: none is left.
        """
        if not self._places.acquire(blocking=False):
            raise Overloaded("this service is answering as many requests as it can")
        try:
            yield
        finally:
            self._places.release()

    @contextmanager
    def reading_body(self, size_bytes: int) -> Iterator[None]:
        """Hold memory for a body that is being read: many slow senders at once must not fill it.

        A body gives its memory back once its parts are known: a picture is stored, and let go, right after. One body
        alone is always read, however large the limit of a request is.

        Raises:
            Overloaded: others hold too much.
        """
        with self._lock:
            if self._body_bytes_taken and self._body_bytes_taken + size_bytes > self._body_bytes:
                raise Overloaded("this service is reading as many uploads as it has room for")
            self._body_bytes_taken += size_bytes
        try:
            yield
        finally:
            with self._lock:
                self._body_bytes_taken -= size_bytes

    def saw_depth(self, depth: int) -> None:
        """Take note of the queue's length, which a request has just learnt."""
        self._depth, self._depth_seen_at = depth, time.monotonic()

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """One more job is on its way into the queue while the context lasts, and counts as being in it.

        Else all that a burst brings would find the queue as short as it was before the first of them had arrived.
        """
        with self._lock:
            self._submitting += 1
        try:
            yield
        finally:
            with self._lock:
                self._submitting -= 1

    def expected_wait_s(self, pool: WorkerPool, behind: int = 0) -> float:
        """How long a job queued now waits for its answer, in seconds, with ``behind`` more before it."""
        return expected_wait_s(pool, self._queued(pool) + behind)

    def _check_wait(self, pool: WorkerPool, deadline: Deadline) -> None:
        excess_s = self.expected_wait_s(pool) - ADMITTED_SHARE * deadline.left_s
        if excess_s > 0:
            raise Overloaded("the service is busy: its queue is too long for this request", max(1, math.ceil(excess_s)))

    def _queued(self, pool: WorkerPool) -> float:
        """How long the queue is now, as far as this process knows, with the jobs that it is just submitting.

        What ``pool`` has worked off since the queue was last seen is taken off: while requests are refused nobody
        looks, and the workers would run dry before the next look.
        """
        depth, seen_at = self._depth, self._depth_seen_at
        if pool.seen_at > seen_at:
            depth, seen_at = pool.queued, pool.seen_at
        if depth == 0 or pool.mean_service_s == 0:
            return float(depth + self._submitting)
        worked_off = (time.monotonic() - seen_at) * len(pool.workers) / pool.mean_service_s
        return max(0.0, depth - worked_off) + self._submitting


def expected_wait_s(pool: WorkerPool, depth: float) -> float:
    """How long a picture queued now waits for its answer, in seconds, behind ``depth`` others.

    Every worker has, on average, half a batch in hand, and the answer comes with those of its own batch, half of which
    are behind it; each picture costs the workers' mean service time. Behind nobody it is 0, whatever the service time:
    a service that refused while idle would never learn better.
    """
    if depth < 1:
        return 0.0
    batches = sum(worker.batch for worker in pool.workers)
    ahead = depth + batches / 2
    behind = min(depth, batches) / 2
    return (ahead + behind) * pool.mean_service_s / len(pool.workers)

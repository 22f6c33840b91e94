"""The story of one request: store, look, join or submit, wait, answer. It knows no HTTP."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Literal

from api.errors import (
    BackendDown,
    DeadlineExceeded,
    Overloaded,
    TooLarge,
    Undecodable,
    WorkerFault,
)
from contract.errors import (
    ComputationFailed,
    ComputationLost,
    QueueUnavailable,
    ResultTimeout,
    StoreUnwritable,
)
from contract.messages import Classification, ClassifyJob, Dropped, Failure, FailureKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.settings import Settings
    from api.staff import Crew, Staff
    from api.upload import Upload
    from contract.image_store import ImageStore
    from contract.job_queue import JobQueue

Cache = Literal["hit", "joined", "miss"]
RETRY_SOON_S = 2
ADMITTED_SHARE = 0.5  # of its deadline a request may expect to wait; the rest is for what the expectation misses
SUBMISSIONS = 3  # of one request: its own, and another after each computation that came to nothing
SHORTEST_WAIT_S = 0.001  # Redis counts in milliseconds


@dataclass(frozen=True, slots=True)
class Answer:
    """``picture`` is the name in the image store; ``cache`` says where the classification came from.

    ``waited_ms`` is the time from the look into Redis to the answer, in milliseconds.
    """

    picture: str
    classification: Classification
    cache: Cache
    waited_ms: float

    @property
    def queued_ms(self) -> float:
        """Of a computed answer: the rest of the wait, beside the worker's own work."""
        timings = self.classification.timings_ms
        return max(0.0, self.waited_ms - timings.decode - timings.infer)


class Gateway:
    """One per API process; safe to use from many requests at once."""

    def __init__(self, settings: Settings, store: ImageStore, queue: JobQueue, staff: Staff) -> None:
        self._settings = settings
        self._store = store
        self._queue = queue
        self._staff = staff
        self._places = BoundedSemaphore(settings.max_in_flight)

    def admit(self) -> None:
        """Refuse, before its body is read, a request that would be refused after: a refusal must cost next to nothing.

        It goes by what this process knows of the queue; ``classify`` may see more.

        Raises:
            Overloaded, NoWorker, BackendDown: not now; the error says when to come again.
        """
        try:
            crew = self._staff.crew()
        except QueueUnavailable as error:
            raise BackendDown(str(error), RETRY_SOON_S) from error
        self._admit(crew, time.monotonic() + self._settings.request_timeout_s)

    def classify(self, upload: Upload) -> Answer:
        """Answer one upload, from what is known or by a worker.

        Raises:
            Undecodable, TooLarge: the worker could not read the picture.
            Overloaded, NoWorker, BackendDown: not now; the error says when to come again.
            DeadlineExceeded: no worker answered within ``request_timeout_s``.
            WorkerFault: the workers gave it up.
        """
        deadline = time.monotonic() + self._settings.request_timeout_s
        with self._place():
            try:
                picture = self._store.put(upload.data)
                del upload  # its bytes need no memory while the request waits
                return self._answer(picture, deadline)
            except (QueueUnavailable, StoreUnwritable) as error:
                raise BackendDown(str(error), RETRY_SOON_S) from error
            except ResultTimeout as error:
                raise DeadlineExceeded(f"no answer came within {self._settings.request_timeout_s:g} seconds") from error
            except ComputationLost as error:
                raise BackendDown("Redis lost this request's computation", RETRY_SOON_S) from error
            except ComputationFailed as error:
                raise WorkerFault("the workers could not classify this picture; it was given up") from error

    def _answer(self, picture: str, deadline: float) -> Answer:
        started = time.perf_counter()
        classification, cache = self._classification(picture, deadline)
        return Answer(picture, classification, cache, (time.perf_counter() - started) * 1000)

    def _classification(self, picture: str, deadline: float) -> tuple[Classification, Cache]:
        crew = self._staff.crew()
        if self._settings.result_cache:
            sighting = self._queue.look(crew.model, crew.digest, picture)
            self._staff.saw(sighting.depth)
            if sighting.answer is not None:
                return sighting.answer, "hit"
            if sighting.computation is not None:
                outcome = self._join(crew, picture, sighting.computation, deadline)
                if outcome is not None:
                    return _classified(outcome), "joined"
        self._admit(crew, deadline)
        return self._compute(crew, picture, deadline)

    def _compute(self, crew: Crew, picture: str, deadline: float) -> tuple[Classification, Cache]:
        """Submit, or join who was faster; again if that came to nothing.

        Raises:
            ComputationLost: it did so every time.
        """
        job = ClassifyJob(picture, cache=self._settings.result_cache)
        for _ in range(SUBMISSIONS):
            with self._staff.submitting():
                submission = self._queue.submit(crew.model, job, _left_s(deadline))
            self._staff.saw(submission.depth)
            if submission.joined:
                outcome = self._join(crew, picture, submission.computation, deadline)
                if outcome is not None:
                    return _classified(outcome), "joined"
                continue
            try:
                return _classified(self._queue.wait(submission.computation, _left_s(deadline))), "miss"
            except ComputationLost:
                self._queue.forget(crew.model, picture, submission.computation)
        raise ComputationLost(f"no computation of {picture} lasted")

    def _join(self, crew: Crew, picture: str, computation: str, deadline: float) -> Outcome | None:
        """Another request's result, or None when it came to nothing: then this request computes for itself."""
        try:
            if self._queue.join(computation, _left_s(deadline)):
                outcome = self._queue.wait(computation, _left_s(deadline))
                if not isinstance(outcome, Dropped):
                    return outcome
        except (ComputationFailed, ComputationLost):
            pass
        self._queue.forget(crew.model, picture, computation)
        return None

    def _admit(self, crew: Crew, deadline: float) -> None:
        if crew.memory.nearly_full:
            raise Overloaded("the service is busy: its queue has no room left", RETRY_SOON_S)
        excess_s = crew.expected_wait_s(self._staff.depth(crew)) - ADMITTED_SHARE * (deadline - time.monotonic())
        if excess_s > 0:
            raise Overloaded("the service is busy: its queue is too long for this request", max(1, math.ceil(excess_s)))

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise Overloaded("this service is answering as many requests as it can", RETRY_SOON_S)
        try:
            yield
        finally:
            self._places.release()


def _left_s(deadline: float) -> float:
    """Seconds until ``deadline``, at least a millisecond.

    Raises:
        ResultTimeout: it has passed.
    """
    left_s = deadline - time.monotonic()
    if left_s < SHORTEST_WAIT_S:
        raise ResultTimeout("the deadline has passed")
    return left_s


def _classified(outcome: Outcome) -> Classification:
    match outcome:
        case Classification():
            return outcome
        case Failure(FailureKind.TOO_MANY_PIXELS, detail):
            raise TooLarge(detail)
        case Failure(_, detail):
            raise Undecodable(detail)
        case Dropped():
            raise DeadlineExceeded("the picture's turn came too late")

"""The story of one request: store, look, join or submit, wait, answer. It knows no HTTP.

A batch is several such stories side by side: all its pictures are submitted before any is waited for.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Literal, TypeVar

from api.errors import (
    RETRY_SOON_S,
    ApiError,
    BackendDown,
    DeadlineExceeded,
    Overloaded,
    TooLarge,
    Undecodable,
    WorkerFault,
    without_frames,
)
from contract.errors import (
    ComputationFailed,
    ComputationLost,
    QueueUnavailable,
    ResultTimeout,
    StoreUnwritable,
)
from contract.job_queue import Submission
from contract.messages import Classification, ClassifyJob, Dropped, Failure, FailureKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from api.settings import Settings
    from api.staff import Crew, Staff
    from api.upload import Upload
    from contract.image_store import ImageStore
    from contract.job_queue import JobQueue

Cache = Literal["hit", "joined", "miss"]
Result = TypeVar("Result")
ADMITTED_SHARE = 0.5  # of its deadline a request may expect to wait; the rest is for what the expectation misses
COMPUTATIONS = 3  # that one picture waits for: the first, and another after each that came to nothing
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


@dataclass(frozen=True, slots=True)
class Begun:
    """A picture whose computation is on its way; ``started`` is the time of the look, by ``time.perf_counter``."""

    picture: str
    crew: Crew
    submission: Submission
    started: float

    def answer(self, classification: Classification) -> Answer:
        cache: Cache = "joined" if self.submission.joined else "miss"
        return Answer(self.picture, classification, cache, _ms_since(self.started))


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

        It goes by what this process knows of the queue; ``classify`` may see more, and looks at Redis' memory, which
        an answer that is known already does not need.

        Raises:
            Overloaded, NoWorker, BackendDown: not now; the error says when to come again.
        """
        try:
            crew = self._staff.crew()
        except QueueUnavailable as error:
            raise BackendDown(str(error), RETRY_SOON_S) from error
        self._check_wait(crew, time.monotonic() + self._settings.request_timeout_s)

    def classify(self, upload: Upload) -> Answer:
        """Answer one upload, from what is known or by a worker.

        Raises:
            Undecodable, TooLarge: the worker could not read the picture.
            Overloaded, NoWorker, BackendDown: not now; the error says when to come again.
            DeadlineExceeded: no worker answered within ``request_timeout_s``.
            WorkerFault: the workers gave it up.
        """
        deadline = time.monotonic() + self._settings.request_timeout_s
        with self._place(), self._errors_in_our_words():
            begun = self._begin(self._store.put(upload.data), deadline)
            del upload  # its bytes need no memory while the request waits
            return self._finish(begun, deadline)

    def classify_all(self, uploads: Iterable[Upload | ApiError]) -> list[Answer | ApiError]:
        """Answer several uploads as ``classify`` does, in order; an error is the answer of its own picture only.

        Each upload is taken when its turn comes and let go before the next. All share one place and one deadline, and
        those of the same bytes one answer. An error among ``uploads`` is passed on: that picture came no further.

        Raises:
            Overloaded: this process has no place left.
        """
        deadline = time.monotonic() + self._settings.request_timeout_s
        with self._place():
            stored = [
                upload if isinstance(upload, ApiError) else self._attempt(partial(self._store.put, upload.data))
                for upload in uploads
            ]
            pictures = dict.fromkeys(entry for entry in stored if isinstance(entry, str))
            begun = self._each({picture: partial(self._begin, picture, deadline) for picture in pictures})
            ended = {picture: entry for picture, entry in begun.items() if not isinstance(entry, Begun)}
            ended |= self._each(
                {
                    picture: partial(self._finish, entry, deadline)
                    for picture, entry in begun.items()
                    if isinstance(entry, Begun)
                }
            )
            return [ended[entry] if isinstance(entry, str) else entry for entry in stored]

    def _each(self, steps: dict[str, Callable[[], Result]]) -> dict[str, Result | ApiError]:
        """Take each picture's step. When Redis is away the rest is not tried: each would wait as long for it again."""
        results: dict[str, Result | ApiError] = {}
        down: BackendDown | None = None
        for picture, step in steps.items():
            if down is None:
                results[picture] = result = self._attempt(step)
                down = result if isinstance(result, BackendDown) else None
            else:
                results[picture] = down
        return results

    def _attempt(self, step: Callable[[], Result]) -> Result | ApiError:
        try:
            with self._errors_in_our_words():
                return step()
        except ApiError as error:
            return without_frames(error)

    def _begin(self, picture: str, deadline: float) -> Answer | Begun:
        """Look for the answer; where there is none, join or submit its computation."""
        started = time.perf_counter()
        crew = self._staff.crew()
        if self._settings.result_cache:
            sighting = self._queue.look(crew.model, crew.digest, picture)
            self._staff.saw(sighting.depth)
            if sighting.answer is not None:
                return Answer(picture, sighting.answer, "hit", _ms_since(started))
            under_way = sighting.computation
            if under_way is not None and self._joins(crew, picture, under_way, deadline):
                return Begun(picture, crew, Submission(under_way, joined=True, depth=sighting.depth), started)
        self._admit(crew, deadline)
        return Begun(picture, crew, self._submit(crew, picture, deadline), started)

    def _finish(self, begun: Answer | Begun, deadline: float) -> Answer:
        """Wait; a computation that came to nothing is replaced by another.

        Raises:
            ComputationLost: it was so every time.
        """
        if isinstance(begun, Answer):
            return begun
        for replacements_left in reversed(range(COMPUTATIONS)):
            outcome = self._outcome(begun.submission, deadline)
            if outcome is not None:
                return begun.answer(_classified(outcome))
            self._queue.forget(begun.crew.model, begun.picture, begun.submission.computation)
            if replacements_left:
                if begun.submission.joined:  # so far it was nothing of this request's that stood in the queue
                    self._admit(begun.crew, deadline)
                begun = replace(begun, submission=self._submit(begun.crew, begun.picture, deadline))
        raise ComputationLost(f"no computation of {begun.picture} lasted")

    def _submit(self, crew: Crew, picture: str, deadline: float) -> Submission:
        """A computation of this request's own, or of whoever was faster.

        Raises:
            ComputationLost: somebody was, every time, and it vanished at once.
        """
        job = ClassifyJob(picture, cache=self._settings.result_cache)
        for _ in range(COMPUTATIONS):
            with self._staff.submitting():
                submission = self._queue.submit(crew.model, job, _left_s(deadline))
            self._staff.saw(submission.depth)
            if not submission.joined or self._joins(crew, picture, submission.computation, deadline):
                return submission
        raise ComputationLost(f"no computation of {picture} lasted")

    def _joins(self, crew: Crew, picture: str, computation: str, deadline: float) -> bool:
        """Whether somebody else's computation is there to be waited for; if not, nobody joins it any more."""
        exists = self._queue.join(computation, _left_s(deadline))
        if not exists:
            self._queue.forget(crew.model, picture, computation)
        return exists

    def _outcome(self, submission: Submission, deadline: float) -> Outcome | None:
        """The result, or None where the computation came to nothing that is this request's concern.

        What is there already is read even after the deadline: in a batch another picture may have used the time up.
        """
        try:
            outcome = self._queue.wait(submission.computation, max(SHORTEST_WAIT_S, deadline - time.monotonic()))
        except ComputationLost:
            return None
        except ComputationFailed:
            if submission.joined:
                return None
            raise
        return None if submission.joined and isinstance(outcome, Dropped) else outcome

    def _admit(self, crew: Crew, deadline: float) -> None:
        if crew.memory.nearly_full:
            raise Overloaded("the service is busy: its queue has no room left", RETRY_SOON_S)
        self._check_wait(crew, deadline)

    def _check_wait(self, crew: Crew, deadline: float) -> None:
        excess_s = crew.expected_wait_s(self._staff.depth(crew)) - ADMITTED_SHARE * (deadline - time.monotonic())
        if excess_s > 0:
            raise Overloaded("the service is busy: its queue is too long for this request", max(1, math.ceil(excess_s)))

    @contextmanager
    def _errors_in_our_words(self) -> Iterator[None]:
        try:
            yield
        except (QueueUnavailable, StoreUnwritable) as error:
            raise BackendDown(str(error), RETRY_SOON_S) from error
        except ResultTimeout as error:
            raise DeadlineExceeded(f"no answer came within {self._settings.request_timeout_s:g} seconds") from error
        except ComputationLost as error:
            raise BackendDown("Redis lost this request's computation", RETRY_SOON_S) from error
        except ComputationFailed as error:
            raise WorkerFault("the workers could not classify this picture; it was given up") from error

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


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000

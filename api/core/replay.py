"""Computing pictures on two versions of a model, behind all requests: how a candidate is compared with what answers."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from api.core.errors import NoWorker
from contract.deadline import Deadline
from contract.errors import BackendDown, DeadlineExceeded, JobLost, WorkerFault
from contract.messages import Classification, Detection, Dropped, Lost
from contract.worker_registry import ALIVE_FOR_S

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from api.core.expected_labels import Expected
    from api.core.live_workers import LiveWorkers
    from contract.decoding_cost import DecodingCost
    from contract.job_queue import JobQueue
    from contract.messages import Answer, Outcome, PictureJob
    from contract.model_version import ModelVersion

MOST_AT_A_TIME = 16  # pictures on the queues
PATIENCE_S = 900.0  # that a job may take while requests go first
BEAT_EVERY_S = 1.0
ABSENT_FOR_S = 30.0  # that a version may have no live worker, as while they are started anew
TRIES = 2  # of a job that was lost


@dataclass(frozen=True, slots=True)
class Question:
    """A stored picture, and what it shows: None if nobody has said. ``cost`` is that of decoding it."""

    picture: str
    cost: DecodingCost
    expected: Expected | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the versions have made of a picture, the current one's first.

    None is the answer of a version that could not be brought to give one, as where the picture kills its workers. A
    picture that neither could read, or that is gone, has no ``answers``.
    """

    question: Question
    answers: tuple[Answer | None, Answer | None] | None


@dataclass(slots=True)
class _Pending:
    question: Question
    jobs: list[str] = field(default_factory=list)


class Replay:
    """Computes pictures on both versions, a few at a time.

    There are as many on the queues as a version has workers, so that batches are of one picture: the time of a batch
    can't be told by picture, and the slower version would look even slower if more of its pictures met in one.

    Args:
        versions: the current one and the candidate.
        job: a ``ClassifyJob`` or a ``DetectJob``, by what they are for.
        costly_ms: a picture expected to take longer to decode goes on the bulk queue.
        beat: called at least every ``BEAT_EVERY_S`` while this waits.
    """

    def __init__(
        self,
        queue: JobQueue,
        live_workers: LiveWorkers,
        versions: tuple[ModelVersion, ModelVersion],
        job: type[PictureJob[Any]],
        *,
        costly_ms: float,
        beat: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._live_workers = live_workers
        self._versions = versions
        self._job = job
        self._costly_ms = costly_ms
        self._beat = beat
        self._seen_at = dict.fromkeys(versions, time.monotonic())

    def run(self, questions: Iterable[Question]) -> Generator[Replayed]:
        """Put each question to both versions; what comes of it is in their order.

        Raises:
            NoWorker: a version has had no live worker for ``ABSENT_FOR_S``.
            DeadlineExceeded: no worker had time for a picture within ``PATIENCE_S``.
            UnknownOutcome: a newer worker answered in a form that this version does not know.
            BackendDown: Redis does not answer.
        """
        pending: deque[_Pending] = deque()
        try:
            for question in questions:
                pending.append(asked := _Pending(question))
                asked.jobs.extend(self._submit(version, question) for version in self._versions)
                while len(pending) >= self._at_a_time():
                    yield self._ended(pending[0])
                    pending.popleft()
            while pending:
                yield self._ended(pending[0])
                pending.popleft()
        finally:
            for asked in pending:
                for job_id in asked.jobs:
                    with suppress(BackendDown):  # then nobody wants it once its time is over
                        self._queue.leave(job_id)

    def _at_a_time(self) -> int:
        pools = self._live_workers.fleet().pools
        workers = [len(pools[version.key].workers) for version in self._versions if version.key in pools]
        return min([MOST_AT_A_TIME, *workers]) if workers else 1

    def _submit(self, version: ModelVersion, question: Question) -> str:
        pool = self._live_workers.fleet().pools.get(version.key)
        bulk = pool is not None and pool.bulk_workers > 0 and pool.decoding_s(question.cost) * 1000 > self._costly_ms
        job = self._job(question.picture, cache=False)
        return self._queue.submit_patient(
            version.key, job, PATIENCE_S, bulk=bulk, wake=pool.wake if pool is not None else ()
        )

    def _ended(self, asked: _Pending) -> Replayed:
        current, candidate = (self._outcome(asked, place) for place in range(len(self._versions)))
        answers = (self._answer(current), self._answer(candidate))
        unreadable = any(outcome is not None and self._answer(outcome) is None for outcome in (current, candidate))
        return Replayed(asked.question, None if unreadable or answers == (None, None) else answers)

    def _outcome(self, asked: _Pending, place: int) -> Outcome | None:
        """None if the workers gave it up. A job that was lost is submitted again."""
        version = self._versions[place]
        for tries_left in reversed(range(TRIES)):
            try:
                outcome = self._waited(version, asked.jobs[place])
            except WorkerFault:
                return None
            except JobLost:
                outcome = Lost()
            if not isinstance(outcome, Lost):
                return outcome
            if tries_left:
                asked.jobs[place] = self._submit(version, asked.question)
        return Lost()

    def _waited(self, version: ModelVersion, job_id: str) -> Outcome:
        deadline = Deadline(PATIENCE_S)
        while deadline.left_s > 0:
            self._beat()
            self._demand_workers(version)
            with suppress(DeadlineExceeded):
                outcome = self._queue.wait(job_id, Deadline(BEAT_EVERY_S))
                if not isinstance(outcome, Dropped):
                    return outcome
                break
        raise DeadlineExceeded(f"the workers of {version} had no time for a picture within {PATIENCE_S:.0f} s")

    def _demand_workers(self, version: ModelVersion) -> None:
        now = time.monotonic()
        if version.key in self._live_workers.fleet().pools:
            self._seen_at[version] = now
        elif now - self._seen_at[version] > ABSENT_FOR_S:
            raise NoWorker(f"no worker of {version} is ready any more", ALIVE_FOR_S)

    def _answer(self, outcome: Outcome | None) -> Answer | None:
        if isinstance(outcome, Classification | Detection) and outcome.model_task == self._job.model_task:
            return outcome
        return None

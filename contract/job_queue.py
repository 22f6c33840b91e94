"""Submitting computations and waiting for their results: the only file where the sender meets RQ."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, WatchError
from rq import Queue, Retry
from rq.job import JobStatus
from rq.results import Result
from rq.serializers import JSONSerializer

from contract import keys
from contract.connections import LONGEST_BLOCK_S
from contract.errors import ComputationFailed, ComputationLost, QueueUnavailable, ResultTimeout
from contract.messages import Classification, Outcome, outcome_from_wire

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

    from contract.messages import ClassifyJob

SERIALIZER = JSONSerializer()  # RQ checks it with every object, an instance in half the time of the class
TASK = "model.classify"  # a name on the workers' allow-list, never an import path
RESULT_TTL_S = 60  # at least; as long as the longest waiter may take to come for it
FAILURE_TTL_S = 7 * 86400  # a dead letter stays a week for whoever looks into it
JOB_TIMEOUT_S = 60  # for RQ's tools to show; a worker whose batch hangs ends itself sooner (model/serving/lease.py)
# Our workers count tries by themselves. This is for RQ's own tools, whose sweep would else fail a dead worker's jobs.
RETRY = Retry(max=3, interval=0, enqueue_at_front=True)
INFLIGHT_GRACE_S = 5  # joiners may come until the very deadline of the first
RECONNECT_FOR_S = 3.0  # a waiter rides out a restart of Redis this long
RECONNECT_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Sighting:
    """What Redis knows of a picture: a stored answer, a computation under way (its ID), and the queue's length."""

    answer: Classification | None
    computation: str | None
    depth: int


@dataclass(frozen=True, slots=True)
class Submission:
    """The computation to wait for; ``joined`` when somebody else had submitted it first, and it is to be joined.

    ``depth`` is the queue's length with it.
    """

    computation: str
    joined: bool
    depth: int


class Stage(StrEnum):
    """How far a computation without an outcome has come."""

    QUEUED = "queued"
    RUNNING = "running"


_STAGES: dict[str, Stage] = {
    JobStatus.CREATED: Stage.QUEUED,
    JobStatus.QUEUED: Stage.QUEUED,
    JobStatus.STARTED: Stage.RUNNING,
}
_ENDED_BY_HAND = {JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED}  # where there is no result


def queue_name(model: str) -> str:
    """The queue of the requests that somebody waits for; workers empty it before they turn to the tickets."""
    return f"classify-{model}"


def tickets_queue_name(model: str) -> str:
    return f"tickets-{model}"


class JobQueue:
    """The sender's side of the queue.

    Args:
        commands: a client whose commands answer at once.
        waiting: a client whose socket time-out is longer than ``LONGEST_BLOCK_S``.
        reconnect_for_s: how long a waiter rides out an absence of Redis.
    """

    def __init__(self, commands: Redis, waiting: Redis, reconnect_for_s: float = RECONNECT_FOR_S) -> None:
        self._commands = commands
        self._waiting = waiting
        self._reconnect_for_s = reconnect_for_s
        self._queues: dict[str, Queue] = {}

    def look(self, model: str, digest: str, picture: str) -> Sighting:
        """What is known of ``picture``, in one round trip.

        Raises:
            QueueUnavailable: Redis does not answer.
        """
        try:
            with self._commands.pipeline(transaction=False) as pipe:
                pipe.get(keys.answer(model, digest, picture))
                pipe.get(keys.inflight(model, picture))
                pipe.llen(self._queue(queue_name(model)).key)
                answer, computation, depth = pipe.execute()
        except RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error
        return Sighting(_stored_answer(answer), computation.decode() if computation else None, depth)

    def depth(self, model: str) -> int:
        """Requests' computations that wait for a worker.

        Raises:
            QueueUnavailable: Redis does not answer.
        """
        return self._length(queue_name(model))

    def tickets_depth(self, model: str) -> int:
        """Tickets' computations that wait for a worker, cancelled ones too.

        Raises:
            QueueUnavailable: Redis does not answer.
        """
        return self._length(tickets_queue_name(model))

    def _length(self, queue: str) -> int:
        try:
            return self._commands.llen(self._queue(queue).key)
        except RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error

    def submit(self, model: str, job: ClassifyJob, wanted_for_s: float) -> Submission:
        """Queue a computation in one MULTI, or join the one of the same picture that is under way.

        Args:
            wanted_for_s: the computation is dropped unseen if its turn comes later than this.

        Raises:
            QueueUnavailable: Redis does not answer or refuses to write.
        """
        computation = uuid4().hex
        try:
            queue = queue_name(model)
            with self._commands.pipeline() as pipe:
                pipe.multi()  # RQ would begin its own in the middle of ours
                if job.cache:
                    pipe.set(
                        keys.inflight(model, job.picture),
                        computation,
                        nx=True,
                        get=True,
                        ex=int(wanted_for_s) + INFLIGHT_GRACE_S,
                    )
                self.enqueue(
                    pipe,
                    queue,
                    computation,
                    job,
                    wanted_for_s=wanted_for_s,
                    result_ttl_s=max(RESULT_TTL_S, int(wanted_for_s) + INFLIGHT_GRACE_S),
                )
                pipe.llen(self._queue(queue).key)
                first_reply, *_, depth = pipe.execute()
            winner = first_reply.decode() if job.cache and first_reply else None
            if winner is None:
                return Submission(computation, joined=False, depth=depth)
            # Both were queued; ours is dropped unseen when its turn comes, because nobody wants it.
            self._commands.delete(keys.wanted(computation))
        except RedisError as error:
            raise QueueUnavailable(f"Redis does not take the job: {error}") from error
        return Submission(winner, joined=True, depth=depth)

    def enqueue(
        self,
        pipe: Pipeline,
        queue: str,
        computation: str,
        job: ClassifyJob,
        *,
        wanted_for_s: float,
        result_ttl_s: int,
    ) -> None:
        """Add a new computation to a MULTI: the RQ job, and for ``wanted_for_s`` seconds the wish for it."""
        pipe.set(keys.wanted(computation), 1, px=int(wanted_for_s * 1000))
        self._queue(queue).enqueue_call(
            TASK,
            args=tuple(job.to_args()),
            job_id=computation,
            timeout=JOB_TIMEOUT_S,
            result_ttl=result_ttl_s,
            failure_ttl=max(FAILURE_TTL_S, result_ttl_s),
            description=f"classify {job.picture[:12]}",
            retry=RETRY,
            pipeline=pipe,
        )

    def join(self, computation: str, wanted_for_s: float) -> bool:
        """Keep somebody else's computation wanted for ``wanted_for_s`` seconds more; returns whether it still exists.

        A wish that lives longer already stays as it is.

        Raises:
            QueueUnavailable: Redis does not answer.
        """
        try:
            with self._commands.pipeline() as pipe:
                milliseconds = int(wanted_for_s * 1000)
                pipe.set(keys.wanted(computation), 1, px=milliseconds, nx=True)
                pipe.pexpire(keys.wanted(computation), milliseconds, gt=True)
                pipe.exists(f"rq:job:{computation}")
                *_, exists = pipe.execute()
                return bool(exists)
        except RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error

    def forget(self, model: str, picture: str, computation: str) -> None:
        """Let nobody join ``computation`` any more, after it came to nothing.

        Raises:
            QueueUnavailable: Redis does not answer.
        """
        key = keys.inflight(model, picture)
        try:
            with self._commands.pipeline() as pipe:
                pipe.watch(key)  # type: ignore[no-untyped-call]
                holder: Any = pipe.get(key)
                if holder and holder.decode() == computation:
                    pipe.multi()
                    pipe.delete(key)
                    pipe.execute()
        except WatchError:
            return  # it went, or a new computation took its place
        except RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error

    def wait(self, computation: str, timeout_s: float) -> Outcome:
        """Block until the computation's result is there; it is not polled for. A restart of Redis is ridden out.

        Raises:
            ResultTimeout: ``timeout_s`` passed.
            ComputationLost: Redis knows nothing of the computation (any more); found out within seconds.
            ComputationFailed: the workers gave it up.
            QueueUnavailable: Redis stayed away for longer than ``reconnect_for_s``.
        """
        deadline = time.monotonic() + timeout_s
        away_since: float | None = None
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                result = self._read_result(computation, min(left_s, LONGEST_BLOCK_S))
                if result is not None:
                    return _outcome(result)
                if not self._waiting.exists(f"rq:job:{computation}"):
                    raise ComputationLost(f"computation {computation} is gone")
                away_since = None
            except RedisConnectionError as error:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > self._reconnect_for_s:
                    raise QueueUnavailable(f"Redis went away: {error}") from error
                time.sleep(RECONNECT_PAUSE_S)
            except RedisError as error:
                raise QueueUnavailable(f"Redis does not answer: {error}") from error
        raise ResultTimeout(f"no result within {timeout_s:g} s")

    def peek(self, computation: str) -> Outcome | Stage:
        """The computation's latest outcome, or where there is none yet, how far it is; one round trip, no waiting.

        A dead letter that an operator has put back on the queue may have a second one.

        Raises:
            ComputationLost, ComputationFailed: as ``wait``.
            QueueUnavailable: Redis does not answer.
        """
        try:
            with self._commands.pipeline() as pipe:
                pipe.xrevrange(self.result_key(computation), count=1)
                pipe.hget(f"rq:job:{computation}", "status")
                entries, status = pipe.execute()
        except RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error
        if entries:
            return _outcome(self._restore(computation, *entries[0]))
        known = status.decode() if status else ""
        if known in _ENDED_BY_HAND:
            raise ComputationFailed(f"computation {computation} was ended by hand")
        if known not in _STAGES:
            raise ComputationLost(f"computation {computation} is gone")
        return _STAGES[known]

    def result_key(self, computation: str) -> str:
        """Redis' key of the computation's results: it appears with the first outcome."""
        return str(Result.get_key(computation))  # type: ignore[no-untyped-call]

    def ping(self) -> None:
        """Check that Redis answers.

        Raises:
            QueueUnavailable: it does not.
        """
        try:
            self._commands.ping()
        except RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error

    def close(self) -> None:
        """Close the connections; to be called when nobody waits any more."""
        self._commands.close()
        self._waiting.close()

    def _read_result(self, computation: str, block_s: float) -> Result | None:
        key = self.result_key(computation)
        reply: Any = self._waiting.xread({key: "0-0"}, block=max(1, int(block_s * 1000)), count=1)
        if not reply:
            return None
        ((_, [(entry_id, payload), *_]),) = reply
        return self._restore(computation, entry_id, payload)

    def _restore(self, computation: str, entry_id: bytes, payload: dict[bytes, bytes]) -> Result:
        return Result.restore(computation, entry_id.decode(), payload, connection=self._commands, serializer=SERIALIZER)

    def _queue(self, name: str) -> Queue:
        if name not in self._queues:
            self._queues[name] = Queue(name, connection=self._commands, serializer=SERIALIZER)
        return self._queues[name]


def _outcome(result: Result) -> Outcome:
    if result.type is not Result.Type.SUCCESSFUL:
        raise ComputationFailed(f"computation {result.job_id} was given up")
    try:
        return outcome_from_wire(result.return_value)
    except ValueError as error:
        raise ComputationFailed(f"computation {result.job_id} left no result that can be read") from error


def _stored_answer(raw: bytes | None) -> Classification | None:
    """The answer, or None for one of another version, or of somebody else's making: it is computed anew."""
    try:
        outcome = outcome_from_wire(json.loads(raw)) if raw else None
    except ValueError:
        return None
    return outcome if isinstance(outcome, Classification) else None

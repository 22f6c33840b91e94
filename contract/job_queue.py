"""Submitting jobs and waiting for their results: the only file of the sender's side that uses RQ."""

from __future__ import annotations

import time
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import starmap
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError, WatchError
from rq import Queue, Retry
from rq.job import JobStatus
from rq.results import Result
from rq.serializers import JSONSerializer

from contract import keys, picture_holders
from contract.deadline import SHORTEST_WAIT_S
from contract.errors import JobLost, ServiceError, UnknownOutcome, WorkerFault
from contract.messages import UNKNOWN, Answer, CopyJob, Deleted, DetectJob, DrawJob, Outcome, outcome_from_json
from contract.model_name import QUEUED_AS
from contract.redis_clients import LONGEST_BLOCK_S, raise_refusals, redis_errors
from contract.redis_clock import RedisClock
from contract.send_too import nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from redis import Redis
    from redis.client import Pipeline

    from contract.deadline import Deadline
    from contract.messages import ClassifyJob, PictureJob, Task
    from contract.send_too import SendToo
    from contract.shadow import Answered

SERIALIZER = JSONSerializer()  # RQ checks it for every object; an instance takes half the time of the class
# Names on the workers' allow-list, never import paths.
TASK = "model.classify"
DETECT_TASK = "model.detect"
COPY_TASK = "model.copy"
DRAW_TASK = "model.draw"
RESULT_TTL_S = 60  # at least: the time that a waiting request may take to read it
FAILURE_TTL_S = 7 * 86400  # a dead letter is kept for a week, for an operator to look at
JOB_TIMEOUT_S = 60  # for RQ's tools to show; a worker whose batch hangs ends itself sooner (model/serving/lease.py)
# Our workers count tries themselves. This is for RQ's own tools, whose sweep would otherwise fail a dead worker's jobs.
RETRY = Retry(max=3, interval=0, enqueue_at_front=True)
LEAVE_TRIES = 5  # if others join or leave each time, the job's deadline ends it
INFLIGHT_GRACE_S = 5  # other requests may join right up to the deadline of the first
RECONNECT_FOR_S = 3.0  # a waiting request tolerates an absence of Redis for this long
RECONNECT_PAUSE_S = 0.2
SHADOW_WITHIN_S = 600  # a candidate that is further behind computes fewer pictures
WAKES_KEPT = 64  # that no idle worker has taken: more workers than that don't sleep on one list
WAKES_KEPT_FOR_S = 60
GIVEN_UP = "the workers could not compute this picture; it was given up"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What Redis has for a computation: a stored answer, the ID of a job in progress, and the queue's length."""

    answer: Answer | None
    job_id: str | None
    depth: int


@dataclass(frozen=True, slots=True)
class Submission:
    """The job to wait for; ``joined`` if another request had submitted it first, and the computation is shared.

    ``depth`` is the queue's length with it.
    """

    job_id: str
    joined: bool
    depth: int


class Stage(StrEnum):
    """How far a job without an outcome has come."""

    QUEUED = "queued"
    RUNNING = "running"


Peeked = Outcome | Stage | ServiceError  # the last: why there is neither

_STAGES: dict[str, Stage] = {
    JobStatus.CREATED: Stage.QUEUED,
    JobStatus.QUEUED: Stage.QUEUED,
    JobStatus.STARTED: Stage.RUNNING,
}
_SUCCESSFUL = str(Result.Type.SUCCESSFUL.value).encode()  # as RQ writes it into a result's record
_ENDED_BY_HAND = {JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED}  # if there is no result


def queue_name(model: str) -> str:
    """The queue of requests whose senders are waiting; workers empty it before they turn to async jobs."""
    return f"classify-{model}"


def bulk_queue_name(model: str) -> str:
    """The queue of requests whose pictures are costly to decode; a share of the workers serves it."""
    return f"bulk-{model}"


def async_queue_name(model: str) -> str:
    """The queue of async jobs, named when they were called tickets (docs/decisions/0014)."""
    return f"{QUEUED_AS}{model}"


def copies_queue_name(model: str) -> str:
    """The queue of pictures that are to be shown, for which somebody waits; a share of the workers serves it."""
    return f"copies-{model}"


def bulk_async_queue_name(model: str) -> str:
    """The queue of async jobs whose pictures are costly."""
    return f"bulk-{async_queue_name(model)}"


class Depth(NamedTuple):
    """How many jobs wait on the requests' queue of a model, and on their bulk queue."""

    requests: int
    bulk: int


class JobQueue:
    """The sender's side of the queue.

    Args:
        commands: a client for commands that return at once.
        waiting: a client whose socket timeout is longer than ``LONGEST_BLOCK_S``.
        reconnect_for_s: how long ``wait`` tolerates an absence of Redis, in seconds.

    Attributes:
        clock: Redis', by which everything is written that another machine may read.
        send_too: adds what goes along with a look.
    """

    def __init__(self, commands: Redis, waiting: Redis, reconnect_for_s: float = RECONNECT_FOR_S) -> None:
        self._commands = commands
        self._waiting = waiting
        self._reconnect_for_s = reconnect_for_s
        self._queues: dict[str, Queue] = {}
        self.clock = RedisClock(commands)
        self.send_too: SendToo = nothing

    def look(self, model: str, digest: str, computation: str) -> Sighting:
        """What Redis has for ``PictureJob.computation``, read in one round trip.

        Raises:
            BackendDown: Redis does not answer.
        """
        with redis_errors(), self._commands.pipeline(transaction=False) as pipe:
            pipe.get(keys.answer(model, digest, computation))
            pipe.get(keys.inflight(model, computation))
            pipe.llen(self._queue(queue_name(model)).key)
            told, replies = self.send_too(pipe), []
            try:
                answer, job_id, depth, *replies = pipe.execute(raise_on_error=False)
            finally:
                told(replies)
            raise_refusals((answer, job_id))
            if isinstance(depth, Exception):
                raise depth
            if isinstance(answer, Exception) or isinstance(job_id, Exception):  # of another type: not ours
                self._commands.delete(keys.answer(model, digest, computation), keys.inflight(model, computation))
                answer = job_id = None
        return Sighting(_stored_answer(answer), job_id.decode(errors="replace") if job_id else None, depth)

    def depth(self, model: str) -> int:
        """The number of requests' jobs that wait for a worker.

        Raises:
            BackendDown: Redis does not answer.
        """
        return self._length(queue_name(model))

    def depths(self, models: Sequence[str]) -> list[Depth]:
        """The lengths of the requests' queues of each model, in order; one round trip.

        Raises:
            BackendDown: Redis does not answer.
        """
        return list(starmap(Depth, self._pairs(models, queue_name, bulk_queue_name)))

    def async_depths(self, models: Sequence[str]) -> list[int]:
        """How many async jobs of each model wait for a worker, cancelled ones included, in order; one round trip.

        Raises:
            BackendDown: Redis does not answer.
        """
        return list(map(sum, self._pairs(models, async_queue_name, bulk_async_queue_name)))

    def submit(
        self, model: str, job: Task, wanted_for_s: float, *, bulk: bool = False, wake: Collection[str] = ()
    ) -> Submission:
        """Queue a job in one MULTI, or join the one in progress for the same computation.

        Args:
            wanted_for_s: the job is dropped without being run if its turn comes later than this, in seconds.
            bulk: whether it goes on the bulk queue, of which ``Submission.depth`` then is the length. Jobs for copies
                and for drawn pictures have a queue of their own.
            wake: of the workers that wait on another list than the queue (``WorkerEntry.wake``).

        Raises:
            BackendDown: Redis does not answer or refuses to write.
        """
        job_id = uuid4().hex
        outlives_s = int(wanted_for_s) + INFLIGHT_GRACE_S
        queue = _queue_name(model, job, bulk=bulk)
        with redis_errors("Redis does not take the job"), self._commands.pipeline() as pipe:
            pipe.multi()  # otherwise RQ would begin its own in the middle of ours
            if job.cache:
                pipe.set(keys.inflight(model, job.computation), job_id, nx=True, get=True, ex=outlives_s)
            result_ttl_s = max(RESULT_TTL_S, outlives_s)
            self.enqueue(pipe, queue, job_id, job, wanted_for_s=wanted_for_s, result_ttl_s=result_ttl_s)
            for workers in wake:
                _wake(pipe, workers)
            pipe.llen(self._queue(queue).key)
            try:
                first_reply, *_, depth = pipe.execute()
            except ResponseError:
                self.take_back(job_id, keys.inflight(model, job.computation))
                raise
            winner = first_reply.decode(errors="replace") if job.cache and first_reply else None
            if winner is not None:
                # Both were queued; ours is dropped when its turn comes, because it is not wanted.
                self._commands.delete(keys.wanted(job_id))
        return Submission(winner or job_id, joined=winner is not None, depth=depth)

    def enqueue(
        self,
        pipe: Pipeline,
        queue: str,
        job_id: str,
        job: Task,
        *,
        wanted_for_s: float,
        result_ttl_s: int,
        extra_meta: Mapping[str, str | int] | None = None,
    ) -> None:
        """Add a new job to a MULTI: RQ's record, its hold on the picture, and the ``wanted`` key.

        The key counts who waits for the job: one so far. It lives ``wanted_for_s`` seconds.

        Args:
            extra_meta: what workers need to know beside the job; older ones do not look there.
        """
        pipe.set(keys.wanted(job_id), 1, px=int(wanted_for_s * 1000))
        picture_holders.hold(pipe, job.picture, job_id, wanted_for_s, self.clock.now_s())
        name = _task_name(job)
        self._queue(queue).enqueue_call(
            name,
            args=tuple(job.to_args()),
            meta={**job.to_meta(), **(extra_meta or {})},
            job_id=job_id,
            timeout=JOB_TIMEOUT_S,
            result_ttl=result_ttl_s,
            failure_ttl=max(FAILURE_TTL_S, result_ttl_s),
            description=f"{name.removeprefix('model.')} {job.picture[:12]}",
            retry=RETRY,
            pipeline=pipe,
        )

    def shadow(self, candidate: str, job: ClassifyJob, answered: Answered, *, bulk: bool = False) -> int:
        """Have a candidate compute a picture that was answered, when its workers have time; nobody waits for it.

        Args:
            bulk: whether it goes on the bulk queue of async jobs.

        Returns:
            The length of its queue with it.

        Raises:
            BackendDown: Redis does not answer or refuses to write.
        """
        queue = bulk_async_queue_name(candidate) if bulk else async_queue_name(candidate)
        with redis_errors(), self._commands.pipeline() as pipe:
            pipe.multi()
            self.enqueue(
                pipe,
                queue,
                uuid4().hex,
                job,
                wanted_for_s=SHADOW_WITHIN_S,
                result_ttl_s=RESULT_TTL_S,
                extra_meta=answered.to_meta(),
            )
            pipe.llen(self._queue(queue).key)
            *_, waiting = pipe.execute()
        return int(waiting)

    def submit_patient(
        self, model: str, job: PictureJob[Any], wanted_for_s: float, *, bulk: bool = False, wake: Collection[str] = ()
    ) -> str:
        """Queue a job behind all requests, as async jobs are, although somebody waits for it; nobody joins it.

        Args:
            wanted_for_s, bulk, wake: as in ``submit``.

        Returns:
            Its ID, for ``wait``, within ``RESULT_TTL_S`` of its end.

        Raises:
            BackendDown: Redis does not answer or refuses to write.
        """
        job_id = uuid4().hex
        queue = bulk_async_queue_name(model) if bulk else async_queue_name(model)
        with redis_errors("Redis does not take the job"), self._commands.pipeline() as pipe:
            pipe.multi()
            self.enqueue(pipe, queue, job_id, job, wanted_for_s=wanted_for_s, result_ttl_s=RESULT_TTL_S)
            for workers in wake:
                _wake(pipe, workers)
            try:
                pipe.execute()
            except ResponseError:
                self.take_back(job_id)
                raise
        return job_id

    def take_back(self, job_id: str, *others: str) -> None:
        """Delete a job that could not be queued, and ``others``, keys that its MULTI has set.

        A command that is refused for a key's type does not undo the rest of its MULTI; later requests would wait for
        a job that is on no queue.

        Raises:
            RedisError: Redis does not answer.
        """
        self._commands.delete(keys.rq_job(job_id), keys.wanted(job_id), *others)

    def join(self, job_id: str, wanted_for_s: float) -> bool:
        """Wait for another request's job too, which keeps it wanted for ``wanted_for_s`` seconds.

        If it is already wanted for longer, that is not shortened.

        Returns:
            Whether the job still exists, its picture was not deleted, and it can be waited for.

        Raises:
            BackendDown: Redis does not answer.
        """
        key, milliseconds = keys.wanted(job_id), int(wanted_for_s * 1000)
        with redis_errors(), self._commands.pipeline() as pipe:
            pipe.incr(key)
            pipe.pexpire(key, milliseconds, nx=True)
            pipe.pexpire(key, milliseconds, gt=True)
            pipe.exists(keys.rq_job(job_id))
            pipe.exists(keys.deleted(job_id))
            counted, *_, exists, deleted = pipe.execute(raise_on_error=False)
        return bool(exists) and not deleted and not isinstance(counted, Exception)  # else somebody wrote on the key

    def leave(self, job_id: str) -> None:
        """Wait for a job no longer. When the last of those who waited has left, it is dropped once its turn comes.

        Raises:
            BackendDown: Redis does not answer.
        """
        key = keys.wanted(job_id)
        for _ in range(LEAVE_TRIES):
            with suppress(WatchError), redis_errors(), self._commands.pipeline() as pipe:
                pipe.watch(key)  # type: ignore[no-untyped-call]
                waiting: Any = pipe.get(key)
                pipe.multi()
                if waiting is not None and waiting.isdigit() and int(waiting) > 1:
                    pipe.decr(key)
                else:
                    pipe.delete(key)
                pipe.execute()
                return

    def forget(self, model: str, computation: str, job_id: str) -> None:
        """Stop other requests from joining the job, after it has ended without an answer.

        Raises:
            BackendDown: Redis does not answer.
        """
        key = keys.inflight(model, computation)
        try:
            with redis_errors(), self._commands.pipeline() as pipe:
                pipe.watch(key)  # type: ignore[no-untyped-call]
                holder: Any = pipe.get(key)
                if holder and holder.decode(errors="replace") == job_id:
                    pipe.multi()
                    pipe.delete(key)
                    pipe.execute()
        except WatchError:
            return  # it is gone, or a new job has taken its place

    def wait(self, job_id: str, deadline: Deadline) -> Outcome:
        """Block until the job has a result, without polling. A restart of Redis is tolerated.

        That its picture was deleted is noticed within ``LONGEST_BLOCK_S`` if no worker says so before.

        A result that is already there is read even after the deadline: in a batch, others may have used up the time.

        Raises:
            DeadlineExceeded: no result came in time.
            JobLost: Redis does not (or no longer) know the job; noticed within seconds.
            WorkerFault: the workers gave it up.
            UnknownOutcome: the result is of a kind that this version does not know.
            BackendDown: Redis stayed away for longer than ``reconnect_for_s``.
        """
        left_s = max(SHORTEST_WAIT_S, deadline.left_s)
        away_since: float | None = None
        while left_s > 0:
            with redis_errors():
                try:
                    record = self._read_result(job_id, min(left_s, LONGEST_BLOCK_S))
                    if record is not None:
                        return _outcome(record)
                    if self._is_deleted(job_id):
                        return Deleted()
                    away_since = None
                except RedisConnectionError:
                    away_since = away_since or time.monotonic()
                    if time.monotonic() - away_since > self._reconnect_for_s:
                        raise
                    time.sleep(RECONNECT_PAUSE_S)
            left_s = deadline.left_s
        raise deadline.exceeded()

    def peek(self, job_id: str) -> Outcome | Stage:
        """The job's latest outcome or, if there is none yet, how far it is; one round trip, no waiting.

        A dead letter that an operator has put back on the queue may have a second one.

        Raises:
            JobLost, WorkerFault, UnknownOutcome: as ``wait``.
            BackendDown: Redis does not answer.
        """
        (found,) = self.peek_all([job_id])
        if isinstance(found, ServiceError):
            raise found
        return found

    def peek_all(self, job_ids: Sequence[str]) -> list[Peeked]:
        """As ``peek``, of several jobs in one round trip: what it returns, or would raise, of each.

        Raises:
            BackendDown: Redis does not answer.
        """
        with redis_errors(), self._commands.pipeline() as pipe:
            for job_id in job_ids:
                pipe.xrevrange(self.result_key(job_id), count=1)
                pipe.hget(keys.rq_job(job_id), "status")
                pipe.exists(keys.deleted(job_id))
            replies = iter(pipe.execute())
        return [_seen(*found) for found in zip(replies, replies, replies, strict=True)]

    def result_key(self, job_id: str) -> str:
        """Redis' key of the job's results: it appears with the first outcome."""
        return str(Result.get_key(job_id))  # type: ignore[no-untyped-call]

    def ping(self) -> None:
        """Check that Redis answers.

        Raises:
            BackendDown: it does not.
        """
        with redis_errors():
            self._commands.ping()

    def close(self) -> None:
        """Close the connections; to be called when no request is waiting any more."""
        self._commands.close()
        self._waiting.close()

    def _length(self, queue: str) -> int:
        with redis_errors():
            return self._commands.llen(self._queue(queue).key)

    def _pairs(
        self, models: Sequence[str], first: Callable[[str], str], second: Callable[[str], str]
    ) -> list[tuple[int, int]]:
        """The lengths of each model's two queues that ``first`` and ``second`` name, in one round trip."""
        with redis_errors(), self._commands.pipeline(transaction=False) as pipe:
            for model in models:
                pipe.llen(self._queue(first(model)).key)
                pipe.llen(self._queue(second(model)).key)
            replies: list[int] = pipe.execute() if models else []
        return list(zip(replies[::2], replies[1::2], strict=True))

    def _is_deleted(self, job_id: str) -> bool:
        """Whether a job without an outcome has lost its picture to somebody who deleted it.

        One that is not there is looked for once more over a new connection: after a failover the old one may lead to a
        replica that lags behind.

        Raises:
            JobLost: Redis does not know the job.
        """
        for last in (False, True):
            with self._waiting.pipeline(transaction=False) as pipe:
                pipe.exists(keys.rq_job(job_id))
                pipe.exists(keys.deleted(job_id))
                exists, deleted = pipe.execute()
            if exists or deleted:
                return bool(deleted)
            if not last:
                self._waiting.connection_pool.disconnect(inuse_connections=False)
        raise JobLost("Redis lost this request's job")

    def _read_result(self, job_id: str, block_s: float) -> dict[bytes, bytes] | None:
        key = self.result_key(job_id)
        reply: Any = self._waiting.xread({key: "0-0"}, block=max(1, int(block_s * 1000)), count=1)
        if not reply:
            return None
        ((_, [(_, record), *_]),) = reply
        return dict(record)

    def _queue(self, name: str) -> Queue:
        if name not in self._queues:
            self._queues[name] = Queue(name, connection=self._commands, serializer=SERIALIZER)
        return self._queues[name]


def _task_name(job: Task) -> str:
    match job:
        case CopyJob():
            return COPY_TASK
        case DrawJob():
            return DRAW_TASK
        case DetectJob():
            return DETECT_TASK
        case _:
            return TASK


def _queue_name(model: str, job: Task, *, bulk: bool) -> str:
    if isinstance(job, CopyJob | DrawJob):
        return copies_queue_name(model)
    return bulk_queue_name(model) if bulk else queue_name(model)


def _seen(entries: list[Any], status: bytes | None, deleted: int) -> Peeked:
    """By the replies of ``peek_all``."""
    if entries:
        ((_, record),) = entries
        try:
            return _outcome(record)
        except ServiceError as error:
            return error
    if deleted:
        return Deleted()
    known = status.decode(errors="replace") if status else ""
    if known in _ENDED_BY_HAND:
        return WorkerFault(GIVEN_UP)
    return _STAGES.get(known) or JobLost("Redis lost this request's job")


def _outcome(record: dict[bytes, bytes]) -> Outcome:
    """What a result's record in its stream says; of RQ's own ``Result`` most is made for fields that nobody reads."""
    if record.get(b"type") != _SUCCESSFUL:
        raise WorkerFault(GIVEN_UP)
    try:
        return outcome_from_json(b64decode(record.get(b"return_value", b"")))
    except ValueError as error:
        raise UnknownOutcome(UNKNOWN) from error


def _stored_answer(raw: bytes | None) -> Answer | None:
    """The answer, or None for one that this version can't read: it is computed again."""
    try:
        outcome = outcome_from_json(raw) if raw else None
    except UnknownOutcome:
        return None
    return outcome if isinstance(outcome, Answer) else None


def _wake(pipe: Pipeline, workers: str) -> None:
    """Have an idle worker look at its queues. This is not the job's record: one that misses it looks all the same."""
    key = keys.wake(workers)
    pipe.lpush(key, 1)
    pipe.ltrim(key, 0, WAKES_KEPT - 1)
    pipe.expire(key, WAKES_KEPT_FOR_S)

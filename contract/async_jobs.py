"""Async jobs: sent now and fetched later. Redis keeps them, so they survive a restart of everything.

```
created ─┬─ answer known ──────────────────────────────────► done
         └─ queued ─┬─ running ─┬──────────────────────────► done
              ▲ ▲   │    │ │    └─ bad picture, or given up ► failed
              │ └───┼────┘ │ worker died
              │     └──────┴─ cancelled by its sender ─────► cancelled
              └─ queued job vanished: once, and then ──────► failed (as when its picture is deleted)
```
The states queued, running, done and failed are read from the job on the queue, never stored separately.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from redis.exceptions import ResponseError, WatchError

from contract import keys, picture_holders
from contract.errors import (
    BackendDown,
    JobEnded,
    JobLost,
    JobNotFound,
    KeyReused,
    ServiceError,
    UnknownOutcome,
    WorkerFault,
)
from contract.job_queue import Stage, async_queue_name, bulk_async_queue_name
from contract.messages import (
    UNKNOWN,
    Answer,
    ClassifyJob,
    Copied,
    Deleted,
    DetectJob,
    Dropped,
    Failure,
    Lost,
    outcome_from_json,
)
from contract.model_task import ModelTask
from contract.model_version import ModelVersion
from contract.redis_clients import raise_refusals, redis_errors
from contract.sender_jobs import OF_A_KEY, Origin, SenderJobs, belongs_to_another, count_no_more

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis
    from redis.client import Pipeline

    from contract.job_queue import JobQueue, Peeked
    from contract.messages import PictureJob

T = TypeVar("T")

ID = re.compile(r"[0-9a-f]{32}")
ID_BYTES = 16  # 128 random bits: the ID is all that is needed to read or cancel the job
NOT_FOUND = "there is no such job, or it has expired"
WATCH_TRIES = 5
KEPT_AFTER_FETCH_S = 600  # the response may get lost on its way; then the job is fetched again


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FaultKind(StrEnum):
    """Why a job has no answer although its picture may be valid: our fault."""

    GIVEN_UP = "given_up"  # every try failed; RQ's failed registry keeps the queued job
    DELETED = "deleted"  # its picture was deleted, by its sender or an operator
    LOST = "lost"  # its picture is gone, or the queued job vanished twice: somebody deletes them by hand


@dataclass(frozen=True, slots=True)
class Fault:
    """``detail`` is a sentence for the sender."""

    kind: FaultKind
    detail: str


_QUEUED: dict[ModelTask, type[PictureJob[Any]]] = {
    ModelTask.CLASSIFICATION: ClassifyJob,
    ModelTask.DETECTION: DetectJob,
}
ENDED = {JobState.DONE, JobState.FAILED, JobState.CANCELLED}
GIVEN_UP = Fault(FaultKind.GIVEN_UP, "the workers could not compute this picture; it was given up")
PICTURE_LOST = Fault(FaultKind.LOST, "the stored picture was lost before its turn came; it has to be sent again")
LOST = Fault(FaultKind.LOST, "the job was removed from the queue")
DELETED = Fault(FaultKind.DELETED, "the picture was deleted before the job had ended")


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a sender asks for; an idempotency key always stands for the same request.

    Attributes:
        picture: its name in the image store; "" until it is stored.
        top_k, min_score: which labels are shown: the best ``top_k``, of those that score ``min_score`` or more. Objects
            are shown by ``min_score`` too.
        top_k_sent: whether the sender chose ``top_k``; otherwise it is the service's default.
        strict: whether a damaged picture is refused; otherwise what is there of it is classified.
        animated: whether the picture is an animated GIF, of which the first frame is classified.
        model: which the sender has named; "" for the default.
        request_id: of the request that brings it, for logs; it is not kept with the job.
        task: what the model is for that answers.
        labels, max_detections: which objects are shown: those with these labels, or all without any, and of these the
            best ``max_detections``, or all if it is None.
    """

    picture: str
    top_k: int
    min_score: float
    top_k_sent: bool
    strict: bool = True
    animated: bool = False
    model: str = ""
    request_id: str = field(default="", compare=False)
    task: ModelTask = ModelTask.CLASSIFICATION
    labels: tuple[str, ...] = ()
    max_detections: int | None = None

    def queued_job(self, *, cache: bool) -> PictureJob[Any]:
        """The job on the queue that finds its answer; ``cache`` as there."""
        return _QUEUED[self.task](self.picture, cache, self.strict, self.request_id)

    def same_as(self, earlier: JobRequest) -> bool:
        """Whether it asks for the same as ``earlier``; the service's default may have changed in between."""
        same_top_k = self.top_k == earlier.top_k or not (self.top_k_sent or earlier.top_k_sent)
        same_objects = (self.labels, self.max_detections) == (earlier.labels, earlier.max_detections)
        return same_top_k and same_objects and self.min_score == earlier.min_score and self._asks_as(earlier)

    def _asks_as(self, earlier: JobRequest) -> bool:
        ours, theirs = ((one.picture, one.strict, one.model, one.task) for one in (self, earlier))
        return ours == theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncJob:
    """A job in its current state; ``outcome`` is set when it is done (an answer) or has failed.

    ``model`` is the version on whose queue it is.
    """

    id: str
    model: ModelVersion
    request: JobRequest
    created: datetime
    expires: datetime
    state: JobState
    outcome: Answer | Failure | Fault | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """An async job's hash. It names a job on the queue, or holds a copy of a stored answer."""

    id: str
    model: str
    request: JobRequest
    created: datetime
    expires: datetime
    queued_id: str
    answer: Answer | None
    cancelled: bool
    renewed: bool
    sender: str
    places: int
    idempotency: str
    fetched: bool
    bulk: bool

    @classmethod
    def read(cls, job_id: str, fields: dict[bytes, bytes]) -> _Record:
        """Raises JobNotFound (none, or not readable) or UnknownOutcome (its answer is of a kind to come)."""
        try:
            text = {name.decode(): value.decode() for name, value in fields.items()}
            answer = outcome_from_json(text["answer"]) if "answer" in text else None
            return cls(
                id=job_id,
                model=text["model"],
                request=_request(text),
                created=datetime.fromisoformat(text["created"]),
                expires=datetime.fromisoformat(text["expires"]),
                queued_id=text.get("computation", ""),
                answer=answer if isinstance(answer, Answer) else None,
                cancelled="cancelled" in text,
                renewed="renewed" in text,
                sender=text.get("sender", ""),
                places=int(text.get("places", "1")),
                idempotency=text.get("idempotency", ""),
                fetched="fetched" in text,
                bulk="bulk" in text,
            )
        except (KeyError, ValueError) as error:
            raise JobNotFound(NOT_FOUND) from error

    def job(self, state: JobState, outcome: Answer | Failure | Fault | None = None) -> AsyncJob:
        return AsyncJob(
            id=self.id,
            model=ModelVersion.from_key(self.model),
            request=self.request,
            created=self.created,
            expires=self.expires,
            state=state,
            outcome=outcome,
        )


class AsyncJobs:
    """Creates, reads and cancels async jobs.

    Args:
        redis: a client for commands that return at once.
        ttl_s: how long a job, its idempotency key, its place on the queue and its result are kept, in seconds. Once it
            was fetched, they are kept for ``KEPT_AFTER_FETCH_S`` at most.
        per_sender: how many jobs of one sender may be unfetched.
        bytes_per_sender: what the pictures of these may take; a job of a large one counts as several.
    """

    def __init__(self, redis: Redis, queue: JobQueue, ttl_s: int, *, per_sender: int, bytes_per_sender: int) -> None:
        self._redis = redis
        self._queue = queue
        self._ttl_s = ttl_s
        self._shares = SenderJobs(redis, queue.clock, most=per_sender, most_bytes=bytes_per_sender, ttl_s=ttl_s)

    def create(
        self, model: str, request: JobRequest, *, sender: str, size_bytes: int, cache: bool,
        answer: Answer | None = None, key: str | None = None, bulk: bool = False,
    ) -> AsyncJob:  # fmt: skip
        """Create a job and put it on the queue, in one MULTI; or return the one created with the same ``key`` before.

        Args:
            sender: against whose share it counts.
            size_bytes: of its picture.
            cache: whether the answer may be stored for later requests.
            answer: a stored answer, which is copied, so that nothing is computed.
            key: the sender's idempotency key.
            bulk: whether its picture is costly, and waits on a queue of its own.

        Raises:
            KeyReused: ``key`` was used for another request.
            OverShare: the sender has too many jobs that are not fetched, or too large ones.
            UnknownOutcome: its job has ended with a result of a kind that this version does not know.
            BackendDown: Redis does not answer or refuses to write.
        """
        places = self._shares.places(size_bytes)
        holders = _idempotency_keys(sender, key) if key is not None else []
        holder = holders[0] if holders else None

        def create(pipe: Pipeline) -> str:
            known = self._known(pipe, holders, request, sender) if holders else None
            if known is not None:
                return known
            forgotten = self._shares.check(sender, places)
            outdated = [name for old in forgotten for name in self._names(old)]
            job_id = secrets.token_hex(ID_BYTES)
            pipe.multi()
            queued_id = self._write(
                pipe, job_id, model, request,
                sender=sender, places=places, idempotency=holder or "", cache=cache, answer=answer, bulk=bulk,
            )  # fmt: skip
            if holder:
                pipe.set(holder, job_id, ex=self._ttl_s)
            self._shares.add(pipe, Origin(job_id, sender, places))
            if forgotten:
                pipe.delete(*outdated)
                for old in forgotten:
                    self._shares.forget(pipe, sender, old)
            try:
                pipe.execute()
            except ResponseError:
                self._queue.take_back(queued_id, keys.async_job(job_id), *([holder] if holder else []))
                raise
            return job_id

        job, _ = self._current(self._compare_and_set(create), sender)
        return job

    def read(self, job_id: str, sender: str) -> AsyncJob:
        """The job in its current state. If its queued job has vanished, another is queued, once.

        Who reads the end of a job has fetched it: it counts no more against its sender's share, and expires soon.

        Raises:
            JobNotFound: ``sender`` has no job with this ID (any more).
            UnknownOutcome: its result is of a kind that this version does not know.
            BackendDown: Redis does not answer.
        """
        job, record = self._current(job_id, sender)
        return self._fetched(job, record) if job.state in ENDED and not record.fetched else job

    def listed(self, sender: str, first: int, count: int) -> tuple[list[AsyncJob], bool]:
        """Up to ``count`` of the sender's jobs from number ``first`` on, the latest first, and whether there are more.

        Looking at the list fetches none of them, and takes three round trips. One that has vanished from the queue is
        shown as queued: who reads it queues it again. One whose answer is of a kind that this version does not know is
        shown as done, and left out if that answer stands in its own record.

        Raises:
            BackendDown: Redis does not answer.
        """
        names = [name for name in self._shares.listed(sender) if ID.fullmatch(name)]
        shown = names[first : first + count]
        with redis_errors(), self._redis.pipeline(transaction=False) as pipe:
            for name in shown:
                pipe.hgetall(keys.async_job(name))
            replies: list[Any] = pipe.execute(raise_on_error=False)
            raise_refusals(replies)
        records = []
        for name, fields in zip(shown, replies, strict=True):
            with suppress(JobNotFound, UnknownOutcome):  # the first: it expires before the set that names it
                records.append(_Record.read(name, fields if isinstance(fields, dict) else {}))
        queued = [record.queued_id for record in records if record.answer is None and not record.cancelled]
        peeked = dict(zip(queued, self._queue.peek_all(queued), strict=True))
        return [self._listed(record, peeked.get(record.queued_id)) for record in records], len(names) > first + count

    def _listed(self, record: _Record, peeked: Peeked | None) -> AsyncJob:
        try:
            return self._look(record, peeked)
        except JobLost:
            return record.job(JobState.QUEUED)
        except UnknownOutcome:
            return record.job(JobState.DONE)

    def cancel(self, job_id: str, sender: str) -> AsyncJob:
        """Cancel a job that has not ended: it is not computed, or its result is ignored. A second time changes nothing.

        Raises:
            JobEnded: it is done or has failed, and stays so.
            JobNotFound: ``sender`` has no job with this ID (any more).
            UnknownOutcome: it has ended with a result of a kind that this version does not know.
            BackendDown: Redis does not answer.
        """

        def cancel(pipe: Pipeline) -> None:
            pipe.watch(keys.async_job(job_id))  # type: ignore[no-untyped-call]
            record = self._record(pipe, job_id)
            if belongs_to_another(record.sender, sender):
                raise JobNotFound(NOT_FOUND)
            pipe.watch(self._queue.result_key(record.queued_id))  # type: ignore[no-untyped-call]
            with suppress(JobLost):
                state = self._look(record).state
                if state in {JobState.DONE, JobState.FAILED}:
                    raise JobEnded(f"the job is {state} and can't be cancelled any more")
            pipe.multi()
            pipe.hset(keys.async_job(job_id), "cancelled", 1)
            pipe.delete(keys.wanted(record.queued_id))
            picture_holders.let_go(pipe, record.request.picture, record.queued_id)
            pipe.execute()

        self._compare_and_set(cancel)
        return self.read(job_id, sender)

    def _current(self, job_id: str, sender: str) -> tuple[AsyncJob, _Record]:
        record = self._record(self._redis, job_id)
        if belongs_to_another(record.sender, sender):
            raise JobNotFound(NOT_FOUND)
        try:
            return self._look(record), record
        except JobLost:
            self._renew(record)
        record = self._record(self._redis, job_id)
        return self._look(record), record

    def _fetched(self, job: AsyncJob, record: _Record) -> AsyncJob:
        """Let the job count no more, and expire soon; but for a dead letter, which an operator may put back.

        If Redis refuses, as when it is full, nothing changes until the job is fetched again.
        """
        kept = job.outcome == GIVEN_UP
        try:
            with redis_errors(), self._redis.pipeline() as pipe:
                now_s = self._queue.clock.now_s()
                expires = job.expires if kept else min(job.expires, _moment(now_s + KEPT_AFTER_FETCH_S))
                pipe.hset(keys.async_job(job.id), mapping={"fetched": 1, "expires": expires.isoformat()})
                pipe.expire(keys.async_job(job.id), self._ttl_s if kept else KEPT_AFTER_FETCH_S, lt=True)
                for name in self._names_beside(record) if not kept else []:
                    pipe.expire(name, KEPT_AFTER_FETCH_S, lt=True)
                if record.sender:
                    count_no_more(pipe, Origin(job.id, record.sender, record.places), self._ttl_s, now_s)
                pipe.execute()
        except BackendDown:
            return job
        return replace(job, expires=expires)

    def _names(self, job_id: str) -> list[str]:
        """Every key that there is because of a job, but for a dead letter, which an operator may put back."""
        with suppress(JobNotFound, JobLost, UnknownOutcome):
            record = self._record(self._redis, job_id)
            if self._look(record).outcome != GIVEN_UP:
                return [keys.async_job(job_id), *self._names_beside(record)]
        return [keys.async_job(job_id)]

    def _names_beside(self, record: _Record) -> list[str]:
        names = [record.idempotency] if record.idempotency else []
        if record.queued_id:
            names += [keys.rq_job(record.queued_id), self._queue.result_key(record.queued_id)]
        return names

    def _known(self, pipe: Pipeline, holders: list[str], request: JobRequest, sender: str) -> str | None:
        """The ID of the job created with the idempotency key, if any; its names in Redis are watched."""
        pipe.watch(*holders)  # type: ignore[no-untyped-call]
        found: Any = pipe.mget(holders)
        for known in filter(None, found):
            with suppress(JobNotFound):
                record = self._record(pipe, known.decode(errors="replace"))
                if belongs_to_another(record.sender, sender):
                    continue
                if not request.same_as(record.request):
                    raise KeyReused("this Idempotency-Key was sent before with another picture or other parameters")
                return record.id
        return None

    def _write(
        self, pipe: Pipeline, job_id: str, model: str, request: JobRequest, *, sender: str, places: int,
        idempotency: str, cache: bool, answer: Answer | None, bulk: bool,
    ) -> str:  # fmt: skip
        """Add a job's hash to a MULTI, and its queued job if it has no answer; returns the latter's ID, or ""."""
        now_s = self._queue.clock.now_s()
        fields: dict[str, str | float] = {
            "model": model,
            **_fields(request),
            "created": _moment(now_s).isoformat(),
            "expires": _moment(now_s + self._ttl_s).isoformat(),
            "sender": sender,
        }
        if places > 1:
            fields["places"] = places
        if idempotency:
            fields["idempotency"] = idempotency
        if bulk:
            fields["bulk"] = 1
        queued_id = ""
        if answer is None:
            fields["computation"] = queued_id = uuid4().hex
            origin = Origin(job_id, sender, places)
            job = request.queued_job(cache=cache)
            self._enqueue(pipe, model, queued_id, job, wanted_for_s=self._ttl_s, origin=origin, bulk=bulk)
        else:
            fields["answer"] = json.dumps(answer.to_wire(), separators=(",", ":"))
        pipe.hset(keys.async_job(job_id), mapping=fields)  # type: ignore[arg-type]  # of str keys, too narrowly typed
        pipe.expire(keys.async_job(job_id), self._ttl_s)
        return queued_id

    def _renew(self, lost: _Record) -> None:
        """Queue another job in place of the lost one, unless another process has done so meanwhile."""
        key = keys.async_job(lost.id)

        def renew(pipe: Pipeline) -> None:
            pipe.watch(key)  # type: ignore[no-untyped-call]
            left_ms: Any = pipe.pttl(key)
            if self._record(pipe, lost.id) != lost:
                return
            queued_id = uuid4().hex
            pipe.multi()
            pipe.hset(key, mapping={"computation": queued_id, "renewed": 1})
            job = lost.request.queued_job(cache=False)
            origin = Origin(lost.id, lost.sender, lost.places) if lost.sender else None
            wanted_for_s = max(1, left_ms) / 1000
            self._enqueue(pipe, lost.model, queued_id, job, wanted_for_s=wanted_for_s, origin=origin, bulk=lost.bulk)
            pipe.execute()

        self._compare_and_set(renew)

    def _enqueue(
        self,
        pipe: Pipeline,
        model: str,
        queued_id: str,
        job: PictureJob[Any],
        *,
        wanted_for_s: float,
        origin: Origin | None,
        bulk: bool,
    ) -> None:
        """``origin`` tells the worker whose job it is, so that one that fails counts no more."""
        self._queue.enqueue(
            pipe,
            bulk_async_queue_name(model) if bulk else async_queue_name(model),
            queued_id,
            job,
            wanted_for_s=wanted_for_s,
            result_ttl_s=self._ttl_s,
            extra_meta=origin.to_meta() if origin is not None else None,
        )

    def _look(self, record: _Record, peeked: Peeked | None = None) -> AsyncJob:
        """The job as its queued job is now, or was when it was ``peeked``.

        Raises:
            JobLost: the queued job has vanished, and none has been queued in its place yet.
        """
        if record.cancelled:
            return record.job(JobState.CANCELLED)
        found = self._progress(record, peeked)
        if isinstance(found, Stage):
            return record.job(JobState(found))
        return record.job(JobState.DONE if isinstance(found, Answer) else JobState.FAILED, found)

    def _progress(self, record: _Record, peeked: Peeked | None) -> Answer | Failure | Fault | Stage:
        if record.answer is not None:
            return record.answer
        try:
            found = self._queue.peek(record.queued_id) if peeked is None else peeked
            if isinstance(found, ServiceError):
                raise found
            if isinstance(found, Lost):
                return PICTURE_LOST
            if isinstance(found, Deleted):
                return DELETED
            if isinstance(found, Copied) or (isinstance(found, Answer) and found.model_task != record.request.task):
                raise UnknownOutcome(UNKNOWN)  # the outcome of another kind of job
            if not isinstance(found, Dropped):  # otherwise "wanted" was deleted, and not by the sender
                return found
        except WorkerFault:
            return GIVEN_UP
        except JobLost:
            pass
        if record.renewed:
            return LOST
        raise JobLost(f"job {record.queued_id} is gone")

    def _record(self, redis: Redis | Pipeline, job_id: str) -> _Record:
        if not ID.fullmatch(job_id):
            raise JobNotFound(NOT_FOUND)
        with redis_errors():
            fields: Any = redis.hgetall(keys.async_job(job_id))
        return _Record.read(job_id, fields)

    def _compare_and_set(self, change: Callable[[Pipeline], T]) -> T:
        """Do ``change``; repeat it if another client has changed what it watches.

        Raises:
            BackendDown: Redis does not answer, refuses to write, or other clients were faster each time.
        """
        for _ in range(WATCH_TRIES):
            with suppress(WatchError), redis_errors("Redis does not take the job"), self._redis.pipeline() as pipe:
                return change(pipe)
        raise BackendDown("others change this job all the time")


def _moment(unix_s: float) -> datetime:
    """In whole seconds."""
    return datetime.fromtimestamp(int(unix_s), UTC)


def _idempotency_keys(sender: str, key: str) -> list[str]:
    """Redis' names of a sender's idempotency key, that of a new job first.

    It belongs to the API key's name; all senders without one share one namespace. The second is of a job that was sent
    before its sender had a key. ``key`` has no line break, so the two can't be taken for one another.
    """
    anonymous = keys.idempotency(hashlib.sha256(key.encode()).hexdigest())
    if not sender.startswith(OF_A_KEY):
        return [anonymous]
    return [keys.idempotency(hashlib.sha256(f"{sender}\n{key}".encode()).hexdigest()), anonymous]


def _fields(request: JobRequest) -> dict[str, str | float]:
    """What is recorded of it. What says nothing is left out, as older versions have it."""
    fields: dict[str, str | float] = {
        "picture": request.picture,
        "top_k": request.top_k,
        "min_score": request.min_score,
        "top_k_sent": int(request.top_k_sent),
    }
    if not request.strict:
        fields["strict"] = 0
    if request.animated:
        fields["animated"] = 1
    if request.model:
        fields["asked"] = request.model
    if request.task is not ModelTask.CLASSIFICATION:
        fields["task"] = request.task
    if request.labels:
        fields["labels"] = json.dumps(request.labels, separators=(",", ":"))
    if request.max_detections is not None:
        fields["max_detections"] = request.max_detections
    return fields


def _request(text: dict[str, str]) -> JobRequest:
    """What ``_fields`` recorded. Version 0.1 did not say whether ``top_k`` was sent: it counts as the default."""
    return JobRequest(
        text["picture"],
        int(text["top_k"]),
        float(text["min_score"]),
        top_k_sent=text.get("top_k_sent", "0") == "1",
        strict=text.get("strict", "1") == "1",
        animated="animated" in text,
        model=text.get("asked", ""),
        task=ModelTask(text.get("task", ModelTask.CLASSIFICATION)),
        labels=tuple(json.loads(text.get("labels", "[]"))),
        max_detections=int(text["max_detections"]) if "max_detections" in text else None,
    )

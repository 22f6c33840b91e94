"""The steps of one request: store, look, join or submit, wait, answer. No HTTP here.

A batch takes these steps for several pictures side by side: all are submitted before any is waited for.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from api.core.errors import ClientGone, OtherTask, Overloaded, TooLarge, Undecodable, without_frames
from api.core.routing import Route, fallback, route
from api.core.sender_backlog import SenderBacklog
from contract.deadline import Deadline
from contract.decoding_cost import DecodingCost, decoding_cost
from contract.errors import (
    BackendDown,
    DeadlineExceeded,
    JobLost,
    PictureDeleted,
    PictureLost,
    ServiceError,
    UnknownOutcome,
    WorkerFault,
)
from contract.job_queue import Submission
from contract.messages import (
    UNKNOWN,
    Classification,
    Copied,
    Deleted,
    Detection,
    Dropped,
    Failure,
    FailureKind,
    Found,
    Lost,
    Outcome,
    PictureJob,
)
from contract.model_task import ModelTask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from api.core.admission import Admission
    from api.core.candidate_watch import CandidateWatch
    from api.core.client import Client
    from api.core.live_workers import LiveWorkers, WorkerPool
    from api.core.shadows import Shadows
    from api.core.uploads import SentPicture, Uploads
    from api.settings import Settings
    from contract.job_queue import JobQueue
    from contract.model_version import WantedModel

Cache = Literal["hit", "joined", "miss"]
BulkReason = Literal["costly", "crowding"]
Result = TypeVar("Result")
CANDIDATES_PART = 0.5  # of a request's time that a candidate may take before the current version is asked
FAULTS = (WorkerFault, JobLost, UnknownOutcome, DeadlineExceeded)  # of ours, or of a version's
JOBS = 3  # that one picture may wait for: the first, and another after each that ended without an answer


@dataclass(frozen=True, slots=True)
class Answer(Generic[Found]):
    """``picture`` is the name in the image store; ``cache`` says where what was ``found`` in it came from.

    ``waited_ms`` is the time from the look into Redis to the answer, in milliseconds; ``fallback`` says that another
    model has answered than the one that was asked for, which had too much to do.
    """

    picture: str
    found: Found
    cache: Cache
    waited_ms: float
    fallback: bool = False

    @property
    def queued_ms(self) -> float:
        """For a computed answer: the wait without the worker's own work, in milliseconds."""
        timings = self.found.timings_ms
        return max(0.0, self.waited_ms - timings.decode - timings.infer)


@dataclass(frozen=True, slots=True)
class PendingAnswer(Generic[Found]):
    """A job that is queued or running.

    Attributes:
        started: the time of the look, by ``time.perf_counter``.
        own_s: what the picture is expected to take a worker, in seconds.
        bulk: whether its own jobs go on the bulk queue.
        route: the picture's way.
        overloaded: whether the fallback answers in place of the model that was asked for.
    """

    job: PictureJob[Found]
    pool: WorkerPool
    submission: Submission
    started: float
    own_s: float
    bulk: bool
    route: Route
    overloaded: bool = False

    def answer(self, found: Found) -> Answer[Found]:
        cache: Cache = "joined" if self.submission.joined else "miss"
        return Answer(self.job.picture, found, cache, _ms_since(self.started), self.overloaded)


@dataclass(frozen=True, slots=True)
class Asked(Generic[Found]):
    """What a request asks of its pictures.

    Attributes:
        job: a ``ClassifyJob`` or a ``DetectJob``, which says what the model must be for.
        model: which is to answer; None for the default of that task.
        strict: whether a picture is refused if it is damaged; otherwise what is there of it counts.
    """

    job: type[PictureJob[Found]]
    model: WantedModel | None = None
    strict: bool = True

    @property
    def task(self) -> ModelTask:
        return self.job.model_task


@dataclass(frozen=True, slots=True)
class _Sent:
    """A picture that was sent, and what decoding it is expected to cost."""

    sent: SentPicture
    cost: DecodingCost

    @property
    def name(self) -> str:
        return self.sent.name


class Inference:
    """One per API process; safe to use from many requests at once.

    Attributes:
        count_bulk: called with the reason, "costly" or "crowding", when a picture is sent to the bulk queue.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        uploads: Uploads,
        queue: JobQueue,
        live_workers: LiveWorkers,
        admission: Admission,
        watch: CandidateWatch,
        shadows: Shadows,
    ) -> None:
        self._settings = settings
        self._uploads = uploads
        self._queue = queue
        self._live_workers = live_workers
        self._admission = admission
        self._watch = watch
        self._shadows = shadows
        self._backlog = SenderBacklog(settings.sender_ahead_s / settings.web_concurrency)
        self.count_bulk: Callable[[BulkReason], None] = lambda _reason: None

    def task(self, model: WantedModel | None = None) -> ModelTask:
        """What a model is for, or the default one.

        Raises:
            UnknownModel: no worker has ever served it.
            OtherTask: it is for something that this version of the API does not know.
            NoWorker, BackendDown: not now; the error says when to try again.
        """
        fleet = self._live_workers.fleet()
        version = fleet.wanted(model)
        try:
            return ModelTask(fleet.task(version))
        except ValueError as error:
            raise OtherTask(f"{version} is for {fleet.task(version)}, which this service does not know") from error

    def admit(self, task: ModelTask | None, model: WantedModel | None = None) -> None:
        """Refuse a request before its body is read if it would be refused after.

        Args:
            task: what the model must be for; None if any will do.
            model: what the request's query names; the body may still name another.

        Raises:
            UnknownModel, OtherTask: there is no such model.
            Overloaded, NoWorker, BackendDown: not now; the error says when to try again.
        """
        self._admission.check_before_body(self._deadline(), model, task)

    def infer(self, image: bytes, client: Client, asked: Asked[Found]) -> Answer[Found]:
        """Answer one checked picture, from a stored answer or by a worker.

        Raises:
            ServiceError: as ``answered``.
        """
        answering = self._answering(image, client, asked)
        del image  # its bytes need no memory while the request waits
        with answering as (_, answer):
            return answer

    @contextmanager
    def answered(self, image: bytes, client: Client, asked: Asked[Found]) -> Iterator[Answer[Found]]:
        """Answer one checked picture, which is in the store within the context, also if none is kept after requests.

        Raises:
            UnknownModel: no worker has ever served the model.
            OtherTask: it answers something else.
            Undecodable, TooLarge: the worker could not read the picture, or not within the deadline.
            Overloaded, OverShare, NoWorker, StoreFull, BackendDown: not now; the error says when to try again.
            DeadlineExceeded: no worker answered within ``request_timeout_s``.
            WorkerFault: the workers gave it up.
            UnknownOutcome: a newer worker answered in a form that this version does not know.
            PictureDeleted: somebody deleted the picture before its turn came.
            ClientGone: nobody is there any more to read the answer; the job is dropped with the last who waited for it.
        """
        answering = self._answering(image, client, asked)
        del image
        with answering as (picture, answer):
            picture.sent.keep()
            yield answer

    @contextmanager
    def _answering(self, image: bytes, client: Client, asked: Asked[Found]) -> Iterator[tuple[_Sent, Answer[Found]]]:
        """As ``answered``, but that a picture whose answer was stored already need not be in a bucket."""
        deadline = self._deadline()
        self._live_workers.pool(asked.model, asked.task)  # before anything is stored
        with ExitStack() as answering:
            with self._admission.place(client.sender):
                picture = _Sent(self._uploads.sent(image, client.sender), decoding_cost(image))
                answering.callback(self._finished, picture)
                del image
                with self._backlog.of(client.sender) as add:
                    found = self._begin(picture, client, deadline, add, asked)
                    answer = self._finish(found, client, deadline)
            yield picture, answer

    def infer_all(
        self, images: Iterable[bytes | ServiceError], client: Client, asked: Asked[Found]
    ) -> list[Answer[Found] | ServiceError]:
        """Answer several pictures as ``infer`` does, in order; an error is the answer of its own picture only.

        Each image is taken from the iterable when its turn comes and freed before the next. All share one place and one
        deadline; equal images share one answer. An error among ``images`` is passed on as that picture's outcome.

        Raises:
            UnknownModel, OtherTask, NoWorker, BackendDown: as ``infer``, before any picture is looked at.
            Overloaded, OverShare: this process has no place left, or none for this sender.
        """
        deadline = self._deadline()
        self._live_workers.pool(asked.model, asked.task)
        with self._admission.place(client.sender):
            stored: list[_Sent | ServiceError] = []
            try:
                stored.extend(
                    image if isinstance(image, ServiceError) else _attempt(partial(self._store, image, client))
                    for image in images
                )
                pictures = {entry.name: entry for entry in stored if isinstance(entry, _Sent)}
                ended = self._answer_all(pictures, client, deadline, asked)
            finally:
                self._uploads.finished(*(entry.name for entry in stored if isinstance(entry, _Sent)))
            return [ended[entry.name] if isinstance(entry, _Sent) else entry for entry in stored]

    def _answer_all(
        self, pictures: dict[str, _Sent], client: Client, deadline: Deadline, asked: Asked[Found]
    ) -> dict[str, Answer[Found] | ServiceError]:
        with self._backlog.of(client.sender) as add:
            begun = _each(
                {
                    name: partial(self._begin, picture, client, deadline, add, asked)
                    for name, picture in pictures.items()
                }
            )
            ended = {name: entry for name, entry in begun.items() if not isinstance(entry, PendingAnswer)}
            ended |= _each(
                {
                    name: partial(self._finish, entry, client, deadline)
                    for name, entry in begun.items()
                    if isinstance(entry, PendingAnswer)
                }
            )
        return ended

    def _store(self, image: bytes, client: Client) -> _Sent:
        picture = self._uploads.sent(image, client.sender)
        picture.keep()  # at once: the next one needs the memory
        return _Sent(picture, decoding_cost(image))

    def _finished(self, picture: _Sent) -> None:
        if picture.sent.is_stored:
            self._uploads.finished(picture.name)

    def _deadline(self) -> Deadline:
        return Deadline(self._settings.request_timeout_s)

    def _job(self, picture: str, client: Client, asked: Asked[Found]) -> PictureJob[Found]:
        cache = self._settings.result_cache and not client.private
        return asked.job(picture, cache, asked.strict, client.request_id)

    def _begin(
        self,
        picture: _Sent,
        client: Client,
        deadline: Deadline,
        add: Callable[[float], None],
        asked: Asked[Found],
    ) -> Answer[Found] | PendingAnswer[Found]:
        """Look for a stored answer; if there is none, join or submit a job.

        A candidate that can't take it leaves it to the current version, a model with too much to do to the fallback.

        Args:
            add: counts a picture's seconds against its sender's share of the ordinary queue.
        """
        fleet = self._live_workers.fleet()
        way = route(fleet, asked.model, asked.task, picture.name)
        begin = partial(self._begin_on, picture=picture, client=client, deadline=deadline, add=add, asked=asked)
        if way.instead is not None:
            with suppress(Overloaded, TooLarge):
                return begin(way, deadline=deadline.part(CANDIDATES_PART))
            way = Route(way.instead, observed=True)
        try:
            return begin(way)
        except Overloaded:
            instead = fallback(fleet, asked.model, asked.task, self._settings.fallback_model)
            if instead is None:
                raise
            found = begin(Route(instead))
            return replace(found, fallback=True) if isinstance(found, Answer) else replace(found, overloaded=True)

    def _begin_on(
        self,
        way: Route,
        *,
        picture: _Sent,
        client: Client,
        deadline: Deadline,
        add: Callable[[float], None],
        asked: Asked[Found],
    ) -> Answer[Found] | PendingAnswer[Found]:
        """As ``_begin``, on one version."""
        started = time.perf_counter()
        pool, job = way.pool, self._job(picture.name, client, asked)
        joined = None
        if job.cache:
            sighting = self._queue.look(pool.model, pool.digest, job.computation)
            self._admission.saw_depth(pool.model, sighting.depth)
            known = sighting.answer
            if known is not None and known.model_task == job.model_task:
                return Answer(job.picture, _found(job, known), "hit", _ms_since(started))
            job_id = sighting.job_id
            if job_id is not None:
                picture.sent.keep()
            if job_id is not None and self._joins(pool, job, job_id, deadline):
                joined = Submission(job_id, joined=True, depth=sighting.depth)
        own_s = pool.decoding_s(picture.cost)
        reason = self._bulk_reason(pool, own_s, client)
        bulk = reason is not None
        if joined is not None:
            return PendingAnswer(job, pool, joined, started, own_s, bulk, way)
        if own_s > self._settings.request_timeout_s:
            raise TooLarge(f"the picture would take about {own_s:.0f} s to read, which is longer than a request may")
        self._admission.check(pool, deadline, own_s=own_s, bulk=bulk)
        picture.sent.keep()
        if not bulk:
            add(max(own_s, pool.mean_service_s))
        submission = self._submit(pool, job, deadline, bulk=bulk)
        if reason is not None and not submission.joined:
            self.count_bulk(reason)
        return PendingAnswer(job, pool, submission, started, own_s, bulk, way)

    def _bulk_reason(self, pool: WorkerPool, own_s: float, client: Client) -> BulkReason | None:
        """Why the picture's job goes on the bulk queue, where it holds up no ordinary one, if it does."""
        if not pool.bulk_workers:
            return None
        if own_s * 1000 > self._settings.costly_picture_ms:
            return "costly"
        return "crowding" if self._backlog.over(client.sender) else None

    def _finish(self, found: Answer[Found] | PendingAnswer[Found], client: Client, deadline: Deadline) -> Answer[Found]:
        """Wait; a job that ended without an answer is replaced by another.

        Raises:
            JobLost: every one of them ended so.
        """
        if isinstance(found, Answer):
            return found
        way = found.route
        if way.instead is not None:
            return self._finish_candidate(found, way.instead, client, deadline)
        try:
            answer = self._computed(found, client, deadline)
        except FAULTS:
            if way.observed:
                self._watch.saw(way.pool.version, failed=True)
            raise
        if way.observed:
            self._watch.saw(way.pool.version, failed=False)
        if way.shadow is not None and answer.cache == "miss" and not client.private:
            self._shadows.compare(way.shadow, found.job, answer.found, bulk=found.bulk)
        return answer

    def _finish_candidate(
        self, pending: PendingAnswer[Found], instead: WorkerPool, client: Client, deadline: Deadline
    ) -> Answer[Found]:
        """A candidate has a part of the time; if it fails, the current version has the rest.

        A candidate that has no room for the job once the one that it had joined has vanished has not failed.
        """
        candidate = pending.pool.version
        try:
            answer = self._computed(pending, client, deadline.part(CANDIDATES_PART))
        except Overloaded:
            pass
        except FAULTS:
            self._watch.saw(candidate, failed=True)
        else:
            self._watch.saw(candidate, failed=False)
            return answer
        self._admission.check(instead, deadline, own_s=pending.own_s, bulk=pending.bulk)
        submission = self._submit(instead, pending.job, deadline, bulk=pending.bulk)
        way = Route(instead, observed=True)
        return self._finish(replace(pending, pool=instead, submission=submission, route=way), client, deadline)

    def _computed(self, pending: PendingAnswer[Found], client: Client, deadline: Deadline) -> Answer[Found]:
        """As ``_finish``, by the version that it is queued for."""
        for replacements_left in reversed(range(JOBS)):
            outcome = self._outcome(pending.submission, client, deadline)
            if outcome is not None:
                return pending.answer(self._found(pending.job, outcome))
            self._queue.forget(pending.pool.model, pending.job.computation, pending.submission.job_id)
            if replacements_left:
                if pending.submission.joined:  # so far this request has added nothing to the queue
                    self._admission.check(pending.pool, deadline, own_s=pending.own_s, bulk=pending.bulk)
                submission = self._submit(pending.pool, pending.job, deadline, bulk=pending.bulk)
                pending = replace(pending, submission=submission)
        raise JobLost("Redis lost this request's job")

    def _found(self, job: PictureJob[Found], outcome: Outcome) -> Found:
        try:
            return _found(job, outcome)
        except PictureLost:
            self._uploads.store.distrust(job.picture)
            raise

    def _submit(self, pool: WorkerPool, job: PictureJob[Any], deadline: Deadline, *, bulk: bool) -> Submission:
        """Submit a job, or join that of another request which was faster.

        Raises:
            JobLost: another was faster every time, and its job vanished at once.
        """
        for _ in range(JOBS):
            with nullcontext() if bulk else self._admission.submitting(pool.model):
                submission = self._queue.submit(pool.model, job, deadline.demand_left_s(), bulk=bulk, wake=pool.wake)
            if bulk:
                self._admission.saw_bulk_depth(pool.model, submission.depth)
            else:
                self._admission.saw_depth(pool.model, submission.depth)
            if not submission.joined or self._joins(pool, job, submission.job_id, deadline):
                return submission
        raise JobLost("Redis lost this request's job")

    def _joins(self, pool: WorkerPool, job: PictureJob[Any], job_id: str, deadline: Deadline) -> bool:
        """Whether another request's job exists and can be waited for; if not, no request joins it any more."""
        exists = self._queue.join(job_id, deadline.demand_left_s())
        if not exists:
            self._queue.forget(pool.model, job.computation, job_id)
        return exists

    def _outcome(self, submission: Submission, client: Client, deadline: Deadline) -> Outcome | None:
        """The job's outcome, or None if it has none that this request can use."""
        try:
            with client.watched():
                outcome = self._queue.wait(submission.job_id, deadline)
        except ClientGone:
            with suppress(BackendDown):  # then nobody wants the job once its deadline is over
                self._queue.leave(submission.job_id)
            raise
        except JobLost:
            return None
        except WorkerFault:
            if submission.joined:
                return None
            raise
        return None if submission.joined and isinstance(outcome, Dropped | Lost) else outcome


def _each(steps: dict[str, Callable[[], Result]]) -> dict[str, Result | ServiceError]:
    """Take each picture's step. If Redis is down the rest are not tried: each would wait as long for it again."""
    results: dict[str, Result | ServiceError] = {}
    down: BackendDown | None = None
    for picture, step in steps.items():
        if down is None:
            results[picture] = result = _attempt(step)
            down = result if isinstance(result, BackendDown) else None
        else:
            results[picture] = down
    return results


def _attempt(step: Callable[[], Result]) -> Result | ServiceError:
    try:
        return step()
    except ServiceError as error:
        return without_frames(error)


def _found(job: PictureJob[Found], outcome: Outcome) -> Found:
    match outcome:
        case Classification() | Detection() if outcome.model_task == job.model_task:
            return cast("Found", outcome)
        case Failure(FailureKind.TOO_MANY_PIXELS, detail):
            raise TooLarge(detail)
        case Failure(_, detail):
            raise Undecodable(detail)
        case Dropped():
            raise DeadlineExceeded("the picture's turn came too late")
        case Deleted():
            raise PictureDeleted("the picture was deleted before there was an answer")
        case Lost():
            raise PictureLost("the stored picture was lost before its turn came; please send it again")
        case Copied() | Classification() | Detection():
            raise UnknownOutcome(UNKNOWN)


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000

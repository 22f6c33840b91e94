"""Starting and ending jobs, each in one MULTI, so that RQ's records, our answers and what waiters read agree.

The only file that calls RQ's private methods.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, WatchError
from rq.job import JobStatus
from rq.results import Result
from rq.utils import now
from rq.worker.base import BaseWorker, WorkerStatus

from contract import keys, picture_holders, shadow
from contract.job_queue import RESULT_TTL_S
from contract.messages import Answer, Classification, Copied, Deleted, Dropped, Failure, Lost, PictureJob
from contract.sender_jobs import count_no_more
from model.serving import lease_record
from model.serving.garbage import is_garbage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis
    from redis.client import Pipeline
    from rq import Queue

    from contract.redis_clock import RedisClock
    from model.serving.claimed_job import ClaimedJob

log = logging.getLogger(__name__)

WATCH_TRIES = 5
DEAD_LETTER_TTL_S = 7 * 86400  # of a job that can't even be ended as RQ does it


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The end of a job that is our fault: a dead letter in RQ's failed registry, with the reason for an operator."""

    reason: str


Ending = Answer | Failure | Dropped | Lost | Deleted | Copied | GivenUp


class Settlement:
    """Writes what happens to the jobs of one queue.

    Args:
        model: whose jobs they are.
        answer_ttl_s: how long an answer serves later requests of the same picture.
        worker_name: RQ's name of this worker.
        clock: by which leases and other times are written that another machine may read.
        clear_shared_keys: moves out of the way what somebody has written into the keys that all jobs need.
    """

    def __init__(
        self,
        redis: Redis,
        queue: Queue,
        *,
        model: str,
        answer_ttl_s: int,
        worker_name: str,
        clock: RedisClock,
        clear_shared_keys: Callable[[], object],
    ) -> None:
        self._redis = redis
        self._queue = queue
        self._model = model
        self._answer_ttl_s = answer_ttl_s
        self._worker_name = worker_name
        self._clock = clock
        self._clear_shared_keys = clear_shared_keys
        self._worker_key = BaseWorker.redis_worker_namespace_prefix + worker_name

    def start(self, jobs: Sequence[ClaimedJob], leftovers: Sequence[bytes]) -> list[ClaimedJob]:
        """Take a lease on each job and mark it started; forget ``leftovers``. One round trip.

        Returns:
            The jobs that have started: all but those whose records somebody has overwritten.

        Raises:
            RedisError: Redis does not answer; the jobs are still in RQ's intermediate list.
        """

        def start(some: Sequence[ClaimedJob]) -> None:
            with self._redis.pipeline() as pipe:
                self._start(some, leftovers, pipe)
                pipe.execute()

        return self._without_garbage(jobs, start)

    def _start(self, jobs: Sequence[ClaimedJob], leftovers: Sequence[bytes], pipe: Pipeline) -> None:
        if jobs:
            pipe.hset(self._worker_key, "state", WorkerStatus.BUSY)
        for job in jobs:
            lease_record.take(job, self._worker_name, self._clock.now_s(), pipe)
            job.record.prepare_for_execution(self._worker_name, pipeline=pipe)
            if len(jobs) == 1:
                pipe.hset(job.record.key, "meta", job.count_try_alone())
        taken: list[str | bytes] = [*(job.id for job in jobs), *leftovers]
        for job_id in taken:
            self._forget_intermediate(job_id, pipe)

    def end(self, endings: Sequence[tuple[ClaimedJob, Ending]], *, remember: bool = False) -> None:
        """Settle jobs for good: result for the waiters, RQ's registries, the lease, all in one MULTI.

        One whose picture was deleted meanwhile ends as ``Deleted``, whatever came of it.
        With ``remember`` also the answers for later requests, where senders want them shared: nobody waits for those.
        ``inflight`` is deleted only where it still names the job: WATCH tells, and after a change this begins anew.

        Raises:
            RedisError: Redis does not answer; nothing was settled, and the lease will run out.
        """
        by_job = {job.id: ending for job, ending in endings}

        def end(some: Sequence[ClaimedJob]) -> None:
            self._end_all([(job, by_job[job.id]) for job in some], remember=remember)

        self._without_garbage([job for job, _ in endings], end)

    def _without_garbage(
        self, jobs: Sequence[ClaimedJob], settle: Callable[[Sequence[ClaimedJob]], None]
    ) -> list[ClaimedJob]:
        """Settle all jobs together or, if one of them can't be, one by one, so that it costs no other.

        A job whose records Redis refuses, because of what somebody wrote into a key, is deleted; who waits for it
        submits it again. One that fails here, by a forged field or a fault of ours, becomes a dead letter.

        Returns:
            The jobs that are settled.
        """
        try:
            settle(jobs)
        except Exception as error:
            if isinstance(error, RedisError) and not is_garbage(error):
                raise
            self._clear_shared_keys()
        else:
            return list(jobs)
        settled = []
        for job in jobs:
            try:
                settle([job])
            except RedisError as error:
                if not is_garbage(error):
                    raise
                log.error("job %s is deleted: somebody has written into its records (%s)", job.id, error)  # noqa: TRY400
                self._delete(job)
            except Exception as error:
                log.exception("job %s can't be settled: it is now a dead letter", job.id)
                self._bury(job, repr(error))
            else:
                settled.append(job)
        return settled

    def _bury(self, job: ClaimedJob, reason: str) -> None:
        """Make the job a dead letter by its ID alone: what RQ would do reads its fields, which is what has failed."""
        failed = job.record.failed_job_registry
        with self._redis.pipeline() as pipe:
            pipe.hset(job.record.key, mapping={"status": JobStatus.FAILED.value, "exc_info": reason})
            pipe.expire(job.record.key, DEAD_LETTER_TTL_S)
            pipe.zadd(failed.key, {job.id: self._clock.now_s() + DEAD_LETTER_TTL_S})
            Result.create_failure(job.record, DEAD_LETTER_TTL_S, reason, pipeline=pipe)
            self._forget_run(job, pipe)
            pipe.execute(raise_on_error=False)  # what Redis refuses here it has refused before: the rest is done

    def _delete(self, job: ClaimedJob) -> None:
        with self._redis.pipeline() as pipe:
            pipe.delete(job.record.key, f"rq:executions:{job.id}", Result.get_key(job.id), keys.wanted(job.id))  # type: ignore[no-untyped-call]
            self._forget_run(job, pipe)
            pipe.execute(raise_on_error=False)  # as above

    def _forget_run(self, job: ClaimedJob, pipe: Pipeline) -> None:
        if job.task is not None:
            picture_holders.let_go(pipe, job.task.picture, job.id)
        self._forget_intermediate(job.id, pipe)
        if job.execution is not None:
            pipe.zrem(job.record.started_job_registry.key, job.execution.composite_key)

    def _end_all(self, endings: Sequence[tuple[ClaimedJob, Ending]], *, remember: bool) -> None:
        inflight = [
            keys.inflight(self._model, job.task.computation)
            for job, _ in endings
            if job.task is not None and job.task.cache
        ]
        with self._redis.pipeline() as pipe:
            for attempt in range(WATCH_TRIES):
                try:
                    ours, deleted = self._watch(pipe, inflight, [job.id for job, _ in endings])
                    pipe.multi()
                    for job, ending in endings:
                        told = Deleted() if job.id in deleted else ending
                        self._end(job, told, pipe)
                        if remember:
                            self._store_answer(job, told, pipe)
                    if ours:
                        pipe.delete(*ours)
                    pipe.hset(self._worker_key, "state", WorkerStatus.IDLE)
                    pipe.execute()
                except WatchError:
                    if attempt == WATCH_TRIES - 1:
                        raise
                else:
                    return

    def give_back(self, job: ClaimedJob) -> None:
        """Put a job that did not end back at the front of the queue, where it will run alone.

        Raises:
            RedisError: Redis does not answer; the lease will run out and recovery does the same.
        """
        with self._redis.pipeline() as pipe:
            lease_record.release(job, pipe)
            pipe.hset(job.record.key, "status", JobStatus.QUEUED.value)
            self._forget_intermediate(job.id, pipe)
            pipe.lpush(self._queue.key, job.id)
            pipe.execute()

    def _watch(self, pipe: Pipeline, inflight: list[str], ids: list[str]) -> tuple[list[str], set[str]]:
        """Of the ``inflight`` keys those that name one of the jobs ``ids``, and which of these are deleted.

        All are watched.
        """
        marks = [keys.deleted(job_id) for job_id in ids]
        pipe.watch(*inflight, *marks)  # type: ignore[no-untyped-call]
        found: Any = pipe.mget([*inflight, *marks])
        holders, marked = found[: len(inflight)], found[len(inflight) :]
        ours = [
            key
            for key, holder in zip(inflight, holders, strict=True)
            if holder and holder.decode(errors="replace") in ids
        ]
        return ours, {job_id for job_id, mark in zip(ids, marked, strict=True) if mark}

    def _end(self, job: ClaimedJob, ending: Ending, pipe: Pipeline) -> None:
        record = job.record
        record.ended_at = now()
        run: dict[str, Any] = {"worker_name": self._worker_name}
        if job.execution is not None:
            run |= {
                "execution_id": job.execution.id,
                "execution_started_at": job.execution.created_at,
                "execution_ended_at": record.ended_at,
            }
        self._forget_intermediate(job.id, pipe)
        if job.task is not None:
            picture_holders.let_go(pipe, job.task.picture, job.id)
            if isinstance(ending, Failure) and isinstance(
                job.task, PictureJob
            ):  # the API, which may write to the store, deletes it
                pipe.zadd(keys.REFUSED_PICTURES, {job.task.picture: self._clock.now_s()})
        if job.origin is not None and isinstance(ending, Failure | Lost | Deleted | GivenUp):
            count_no_more(pipe, job.origin, record.get_result_ttl(RESULT_TTL_S), self._clock.now_s())
        if job.shadow_of is not None and job.task is not None:
            if isinstance(ending, Classification):
                shadow.record(pipe, self._model, job.task.picture, job.shadow_of, ending)
            elif isinstance(ending, Failure | GivenUp):
                shadow.record_failure(pipe, self._model)
        if isinstance(ending, GivenUp):
            log.error("job %s of request %s is given up: %s", job.id, job.request_id, ending.reason)
            pipe.hincrby(self._worker_key, "failed_job_count", 1)
            record.set_status(JobStatus.FAILED, pipeline=pipe)
            record._handle_failure(ending.reason, pipe, **run)  # noqa: SLF001  # RQ's own end of a failed job
        else:
            pipe.hincrby(self._worker_key, "successful_job_count", 1)
            record._result = ending.to_wire()  # noqa: SLF001
            # What was dropped nobody will ask for, or not for long: a cancelled async job needs no result.
            ttl = RESULT_TTL_S if isinstance(ending, Dropped) else record.get_result_ttl(RESULT_TTL_S)
            record._handle_success(ttl, pipe, **run)  # noqa: SLF001  # RQ's own end of a finished job
            record.cleanup(ttl, pipeline=pipe, remove_from_queue=False)
        lease_record.release(job, pipe)
        log.debug("job %s of request %s: %s", job.id, job.request_id, type(ending).__name__)

    def _store_answer(self, job: ClaimedJob, ending: Ending, pipe: Pipeline) -> None:
        if isinstance(ending, Answer) and isinstance(job.task, PictureJob) and job.task.cache:
            key = keys.answer(self._model, ending.digest, job.task.computation)
            pipe.set(key, json.dumps(ending.to_wire(), separators=(",", ":")), ex=self._answer_ttl_s)

    def _forget_intermediate(self, job_id: str | bytes, pipe: Pipeline) -> None:
        pipe.lrem(self._queue.intermediate_queue_key, 0, job_id)  # type: ignore[arg-type]  # bytes are fine

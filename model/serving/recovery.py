"""Bringing back the jobs of workers that died. Every worker tries twice a second; a short lock lets one do it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError
from rq.executions import Execution
from rq.registry import FailedJobRegistry, FinishedJobRegistry
from rq.worker_registration import clean_worker_registry

from contract import keys
from model.serving.claimed_job import read_claimed_job
from model.serving.garbage import is_garbage
from model.serving.lease_record import LEASE_S
from model.serving.settlement import GivenUp

if TYPE_CHECKING:
    from redis import Redis
    from rq import Queue

    from contract.redis_clock import RedisClock
    from model.serving.claimed_job import ClaimedJob
    from model.serving.settlement import Settlement

log = logging.getLogger(__name__)

LOCK_MS = 450  # runs out by itself: one round in half a second, by the worker that comes first
STRANDED_AFTER_S = 1.0  # between leaving the queue and its start a job needs milliseconds, and the wait for stragglers
TIDY_EVERY_S = 30.0


class Recovery:
    """Looks for jobs whose lease ran out, and for IDs stranded between the queue and their start.

    Args:
        clock: Redis', by which leases are written.
        batch_wait_s: how long workers wait for stragglers, in seconds.
    """

    def __init__(
        self, redis: Redis, queue: Queue, settlement: Settlement, clock: RedisClock, *, batch_wait_s: float
    ) -> None:
        self._redis = redis
        self._queue = queue
        self._settlement = settlement
        self._clock = clock
        self._stranded_after_s = STRANDED_AFTER_S + batch_wait_s
        self._lock_key = keys.recovery(queue.name)
        self._next_tidying = 0.0
        self._seen_between: dict[bytes, float] = {}

    @property
    def places(self) -> tuple[str, str]:
        """Redis' keys of what is in any worker's hand: where neither exists there is nothing to bring back."""
        return self._queue.intermediate_queue_key, self._queue.started_job_registry.key

    @property
    def tidying_is_due(self) -> bool:
        """Whether a round is needed whatever is in hand."""
        return time.monotonic() >= self._next_tidying

    def skip_round(self) -> None:
        """Instead of ``run``, when nothing is in hand."""
        self._seen_between = {}

    def run(self) -> None:
        """One round, if no other worker is at it.

        Raises:
            RedisError: Redis does not answer.
        """
        with self._redis.pipeline() as pipe:
            pipe.set(self._lock_key, 1, nx=True, px=LOCK_MS)
            pipe.pexpire(self._lock_key, LOCK_MS, nx=True)  # whatever else somebody wrote there ends as well
            ours, _ = pipe.execute()
        if not ours:
            return  # somebody else has just done it
        self._bring_back_abandoned()
        self._bring_back_stranded()
        if self.tidying_is_due:
            self._next_tidying = time.monotonic() + TIDY_EVERY_S
            self._tidy()

    def _bring_back_abandoned(self) -> None:
        leases = self._queue.started_job_registry
        abandoned: Any = self._redis.zrangebyscore(leases.key, 0, self._clock.now_s())
        for entry in abandoned:
            if self._is_held(entry):
                continue
            job_id, _, execution_id = entry.decode(errors="replace").partition(":")
            job = self._fetch(job_id)
            if job is None or job.ended:
                self._redis.zrem(leases.key, entry)
                continue
            job.execution = Execution(execution_id, job_id, connection=self._redis)
            if job.given_up:
                self._settlement.end([(job, GivenUp(f"{job.tries_alone} workers died with this job alone"))])
            else:
                log.warning("job %s of request %s comes back: its worker died", job_id, job.request_id)
                self._settlement.give_back(job)

    def _is_held(self, entry: bytes) -> bool:
        """Whether the lease holds all the same, as Redis itself counts.

        The entry's score may be another clock's: of a worker of an older version, or of a server whose place another
        has taken since.
        """
        left_ms = int(self._redis.pttl(keys.rq_execution(entry.decode(errors="replace"))))
        return 0 <= left_ms <= LEASE_S * 1000  # one that never ends, somebody else has written

    def _bring_back_stranded(self) -> None:
        between: Any = self._redis.lrange(self._queue.intermediate_queue_key, 0, -1)
        now = time.monotonic()
        self._seen_between = {entry: self._seen_between.get(entry, now) for entry in between}
        for entry, since in self._seen_between.items():
            if now - since < self._stranded_after_s:
                continue
            job = self._fetch(entry.decode(errors="replace"))
            if job is None or job.ended:
                self._redis.lrem(self._queue.intermediate_queue_key, 0, entry)  # type: ignore[arg-type]  # bytes are fine
            else:
                log.warning("job %s of request %s comes back: its worker died before it began", job.id, job.request_id)
                self._settlement.give_back(job)

    def _fetch(self, job_id: str) -> ClaimedJob | None:
        try:
            fields: Any = self._redis.hgetall(keys.rq_job(job_id))
            return read_claimed_job(self._redis, self._queue.name, job_id, fields)
        except Exception as error:  # a forged hash may raise anything; it must not end the worker
            if isinstance(error, RedisError) and not is_garbage(error):
                raise  # Redis hangs or refuses: that says nothing about the job, whose last record this may be
            log.warning("dropped %r: no job (%s)", job_id[:80], error)
            return None

    def _tidy(self) -> None:
        """What RQ's own maintenance would do. Its sweep of started jobs is left out: it would fail them."""
        now_s = self._clock.now_s()
        FinishedJobRegistry(queue=self._queue).cleanup(now_s)
        FailedJobRegistry(queue=self._queue).cleanup(now_s)
        clean_worker_registry(self._queue)

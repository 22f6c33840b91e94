"""Keeping the lease on the batch in hand, and ending a process whose batch hangs."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from model.serving.heartbeat import Heartbeat
from model.serving.lease_record import renew

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from contract.redis_clock import RedisClock
    from model.serving.claimed_job import ClaimedJob

log = logging.getLogger(__name__)

RENEW_EVERY_S = 0.4  # several chances within the lease of 2 s
COMPUTE_LIMIT_S = 20.0
EXIT_HUNG = 70  # EX_SOFTWARE of sysexits.h


class Lease:
    """Renews the executions of the batch in hand until it is let go.

    A batch that makes no progress for ``COMPUTE_LIMIT_S`` hangs in native code, where no signal reaches it: the
    process ends at once, its lease runs out, and another worker takes the jobs.
    """

    def __init__(self, redis: Redis, clock: RedisClock) -> None:
        self._redis = redis
        self._clock = clock
        self._jobs: Sequence[ClaimedJob] = ()
        self._since = self._last_progress = 0.0
        self._heartbeat = Heartbeat("lease", RENEW_EVERY_S, self._renew)

    def start(self) -> None:
        self._heartbeat.start()

    def stop(self) -> None:
        self._heartbeat.stop()

    def hold(self, jobs: Sequence[ClaimedJob]) -> None:
        self._since = self._last_progress = time.monotonic()
        self._jobs = jobs

    def progress(self) -> None:
        """The batch in hand does not hang: its limit counts from now."""
        self._last_progress = time.monotonic()

    def let_go(self) -> None:
        self._jobs = ()

    def _renew(self) -> None:
        jobs, now = self._jobs, time.monotonic()
        if not jobs or now - self._since < RENEW_EVERY_S:
            return
        stuck_s = now - self._last_progress
        if stuck_s > COMPUTE_LIMIT_S:
            log.critical("a batch has made no progress for %.0f s: this worker ends itself", stuck_s)
            os._exit(EXIT_HUNG)
        now_s = self._clock.now_s()
        with self._redis.pipeline() as pipe:
            for job in jobs:
                renew(job, now_s, pipe)
            pipe.execute()

"""Having a candidate compute pictures that were answered already, when its workers have time: to be compared."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from contract.errors import BackendDown
from contract.messages import Classification, ClassifyJob
from contract.shadow import Answered

if TYPE_CHECKING:
    from api.core.live_workers import WorkerPool
    from contract.job_queue import JobQueue
    from contract.messages import Found, PictureJob

MOST_WAITING = 100  # of its jobs: a candidate that is further behind computes fewer pictures
PAUSE_S = 1.0  # before its queue is looked at again then


class Shadows:
    """One per API process. Nothing here ever costs a request its answer."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._paused_until: dict[str, float] = {}

    def compare(self, candidate: WorkerPool, job: PictureJob[Found], answer: Found, *, bulk: bool) -> None:
        """Have the candidate compute an answered picture too, unless it is behind, or Redis has no room for that.

        Of detectors nothing is compared: which objects of two answers are the same is not told by a label.

        Args:
            bulk: whether the picture is a costly one.
        """
        model = candidate.model
        if not isinstance(job, ClassifyJob) or not isinstance(answer, Classification):
            return
        if candidate.memory.full_of_async_jobs or time.monotonic() < self._paused_until.get(model, 0.0):
            return
        best = answer.labels[0]
        answered = Answered(answer.key, best.label, best.score)
        with suppress(BackendDown):
            bulk = bulk and candidate.bulk_workers > 0
            waiting = self._queue.shadow(model, replace(job, cache=False), answered, bulk=bulk)
            if waiting > MOST_WAITING:
                self._paused_until[model] = time.monotonic() + PAUSE_S

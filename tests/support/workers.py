"""Scripted workers on a server, and the sender's side of the queue, for tests of a job's states."""

from __future__ import annotations

import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from redis import Redis

from contract import keys
from contract.async_jobs import AsyncJobs, JobRequest, JobState
from contract.deadline import Deadline
from contract.image_store import ImageStore
from contract.job_queue import JobQueue
from contract.messages import ClassifyJob
from contract.redis_clients import connect, connect_for_waiting
from contract.worker_registry import known_models
from tests.support.forks import ForkedProgram
from tests.support.scripted_worker import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from contract.async_jobs import AsyncJob
    from contract.job_queue import Submission
    from contract.messages import Outcome
    from tests.support.failover import Failover
    from tests.support.server import Server

WAIT_S = 60.0  # a bound for busy machines; nothing here takes more than seconds
JOB_TTL_S = 3600
JOBS_PER_SENDER = 1000
SENDER = "192.0.2.1"
BALLAST_BYTES = 32_000_000


def eventually(condition: Callable[[], Any], what: str, within_s: float = WAIT_S) -> Any:
    """Wait until ``condition()`` is true and return it."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"it never happened: {what}"
        time.sleep(0.02)
    return value


class ScriptedWorkers:
    """The parts that a test of the queue uses; ``close`` ends every worker.

    Attributes:
        redis: for the test, which may look at everything; the parts have users of their own.
    """

    def __init__(self, server: Server | Failover, folder: Path) -> None:
        self.folder = folder
        self.redis = Redis.from_url(server.operator_url)
        self.store = ImageStore(folder / "uploads")
        commands = connect(server.api_url)
        self.queue = JobQueue(commands, connect_for_waiting(server.api_url), reconnect_for_s=WAIT_S)
        self.async_jobs = AsyncJobs(commands, self.queue, JOB_TTL_S, per_sender=JOBS_PER_SENDER, bytes_per_sender=10**9)
        self._journal = folder / "journal.txt"
        self._log = folder / "workers.log"
        self._environment = {
            **os.environ,
            "REDIS_URL": server.worker_url,
            "UPLOAD_DIR": str(folder / "uploads"),
            "JOURNAL": str(self._journal),
        }
        self._workers: list[ForkedProgram] = []
        self._waiters = ThreadPoolExecutor(32)

    def start(self, **settings: str) -> ForkedProgram:
        """Start one more worker and wait until it is ready, or until the first picture that it took has killed it.

        ``settings`` are added to its environment.
        """
        before = self._registered()
        with self._log.open("ab") as log:
            worker = ForkedProgram(
                "tests.support.scripted_worker", environment=self._environment | settings, stdout=log, stderr=log
            )
        self._workers.append(worker)
        eventually(lambda: self._has_begun(before) or worker.poll() is not None, f"work begins: {self._log}")
        return worker

    def _has_begun(self, before: set[bytes]) -> bool:
        """Whether there is one more worker than ``before``, and it is known which version is current."""
        return bool(self._registered() - before and self.redis.exists(keys.model(MODEL)))

    def submit(
        self,
        script: str,
        *,
        model: str = MODEL,
        cache: bool = True,
        strict: bool = True,
        wanted_for_s: float = WAIT_S,
    ) -> Submission:
        job = ClassifyJob(self.store.put(script.encode()), cache, strict)
        return self.queue.submit(model, job, wanted_for_s)

    def outcome(self, submission: Submission) -> Outcome:
        return self.queue.wait(submission.job_id, Deadline(WAIT_S))

    def outcome_later(self, submission: Submission) -> Future[Outcome]:
        return self._waiters.submit(self.outcome, submission)

    def request(self, script: str, top_k: int = 5, *, strict: bool = True) -> JobRequest:
        return JobRequest(self.store.put(script.encode()), top_k, min_score=0.0, top_k_sent=True, strict=strict)

    def create(
        self, script: str, *, model: str = MODEL, cache: bool = True, strict: bool = True, key: str | None = None
    ) -> AsyncJob:
        request = self.request(script, strict=strict)
        return self.async_jobs.create(model, request, sender=SENDER, size_bytes=1, cache=cache, key=key)

    def ended(self, job: AsyncJob) -> AsyncJob:
        """The job once it is neither queued nor running."""
        unended = {JobState.QUEUED, JobState.RUNNING}
        return cast(
            "AsyncJob",
            eventually(
                lambda: (now := self.async_jobs.read(job.id, SENDER)).state not in unended and now, "the job ends"
            ),
        )

    @contextmanager
    def redis_filled_to(self, share: float) -> Iterator[None]:
        """Redis uses this share of its memory while the context lasts; connections change it little."""
        self.redis.setrange("ballast", BALLAST_BYTES, b"\0")  # made by the server: if sent, it would fill buffers too
        self.redis.config_set("maxmemory", int(self.redis.info("memory")["used_memory"] / share))
        try:
            yield
        finally:
            self.redis.config_set("maxmemory", 0)

    def batches(self) -> list[str]:
        """The batches computed, one a line: their pictures' scripts in alphabetical order."""
        return self._journal.read_text().splitlines() if self._journal.exists() else []

    def registered(self, model: str) -> set[bytes]:
        """The IDs of the workers that requests for a version may rely on."""
        ids: Any = self.redis.zrange(keys.workers(model), 0, -1)
        return set(ids)

    def forget_batches(self) -> None:
        self._journal.unlink(missing_ok=True)

    def kill_all(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()

    def close(self) -> None:
        self.kill_all()
        self._waiters.shutdown(cancel_futures=True)
        self.queue.close()
        self.redis.close()

    def _registered(self) -> set[bytes]:
        return {worker for model in known_models(self.redis) for worker in self.registered(model)}

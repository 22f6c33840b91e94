"""A real worker process with real bundles, and the sender's side of its queues."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Self

from contract.deadline import Deadline
from contract.image_store import ImageStore
from contract.job_queue import JobQueue
from contract.redis_clients import connect, connect_for_waiting
from contract.worker_registry import live_workers
from tests.support.forks import ForkedProgram
from tests.support.workers import WAIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from contract.messages import Outcome, Task
    from tests.support.server import Server


class WorkerSite:
    """To be used as a context, in which the worker runs.

    Args:
        folder: of its pictures and its log.
        bundles: the paths of what it serves.
        models: the names that they have.
    """

    def __init__(self, server: Server, folder: Path, bundles: Sequence[Path], models: set[str]) -> None:
        self.store = ImageStore(folder / "uploads")
        self.commands = connect(server.api_url)
        self._queue = JobQueue(self.commands, connect_for_waiting(server.api_url), reconnect_for_s=WAIT_S)
        settings = {
            "REDIS_URL": server.worker_url,
            "UPLOAD_DIR": str(folder / "uploads"),
            "COPIES_DIR": str(folder / "copies"),
            "MODELS": ",".join(map(str, bundles)),
        }
        self._log, self._models = folder / "worker.log", models
        with self._log.open("wb") as log:
            environment = {**os.environ, **settings}
            self._worker = ForkedProgram("model.worker", environment=environment, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        eventually(self._serves_all, f"all are served: {self._log}")
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.send_signal(signal.SIGTERM)
        self._worker.wait(WAIT_S)
        self._queue.close()

    def submit(self, model: str, job: Task) -> str:
        """Returns the job's ID."""
        return self._queue.submit(model, job, WAIT_S).job_id

    def outcome(self, job_id: str) -> Outcome:
        return self._queue.wait(job_id, Deadline(WAIT_S))

    def _serves_all(self) -> bool:
        return {entry.model for entry in live_workers(self.commands)} == self._models

"""Whether requests can be served now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.errors import RETRY_LATER_S, BackendDown

if TYPE_CHECKING:
    from api.core.live_workers import LiveWorkers, WorkerPool
    from contract.image_store import PictureStore
    from contract.job_queue import JobQueue


def ready_pool(queue: JobQueue, store: PictureStore, live_workers: LiveWorkers) -> WorkerPool:
    """The workers of the default model, if they can be given work.

    Raises:
        BackendDown: Redis or the store of pictures is down, or Redis is configured to drop accepted jobs.
        NoWorker: no worker is ready.
    """
    queue.ping()
    store.check_writable()
    pool = live_workers.default_pool()
    if not pool.memory.never_forgets:
        raise BackendDown(f"Redis would forget jobs: its maxmemory-policy is {pool.memory.policy}", RETRY_LATER_S)
    return pool

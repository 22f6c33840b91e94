"""A worker's queues without the worker, for tests that take from them step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.serving.model_queues import ModelQueues
from model.serving.priority_queues import PriorityQueues

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

WAKE = "test"


def priority_queues(
    redis: Redis,
    *models: str,
    worker_name: str = "w",
    batch_max: int = 8,
    serves_bulk: Callable[[], bool] = lambda: True,
) -> PriorityQueues:
    """Those of ``models`` for the only worker there is."""
    queues = PriorityQueues(redis, wake=WAKE, serves_bulk=serves_bulk, bulk_share=0.5)
    for model in models:
        queues.add(
            ModelQueues(
                redis,
                model,
                worker_name,
                batch_max=batch_max,
                batch_wait_s=0.0,
                answer_ttl_s=60,
                workers=lambda: 1,
                makes_copies=False,
                clear_shared_keys=lambda: None,
            )
        )
    return queues

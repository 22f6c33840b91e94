"""A worker's queues without the worker, for tests that take from them step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rq import Queue

from contract.job_queue import queue_name
from contract.redis_clock import RedisClock
from model.serving.model_queues import ModelQueues
from model.serving.priority_queues import PriorityQueues
from model.serving.recovery import Recovery
from model.serving.settlement import Settlement

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
    clock = RedisClock(redis)
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
                clock=clock,
                makes_copies=False,
                clear_shared_keys=lambda: None,
            )
        )
    return queues


def recovery(redis: Redis, model: str) -> Recovery:
    """Of a model's requests."""
    queue = Queue(queue_name(model), connection=redis)
    return Recovery(redis, queue, settlement(redis, model), RedisClock(redis), batch_wait_s=0.0)


def settlement(redis: Redis, model: str) -> Settlement:
    """Of a model's requests."""
    return Settlement(
        redis,
        Queue(queue_name(model), connection=redis),
        model=model,
        answer_ttl_s=60,
        worker_name="worker",
        clock=RedisClock(redis),
        clear_shared_keys=lambda: None,
    )

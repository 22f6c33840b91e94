"""RQ's record of a lease: an execution, and its entry in the registry of started jobs.

The execution is the lease itself: Redis lets it expire, whatever time it is on anybody's machine. The registry is where
RQ's tools see what runs, and where recovery finds leases that may have lapsed. RQ scores its entries by the worker's
clock; ours are by Redis', so that a worker whose clock is behind does not have its jobs taken away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from rq.executions import Execution, ExecutionRegistry

if TYPE_CHECKING:
    from redis.client import Pipeline

    from model.serving.claimed_job import ClaimedJob

LEASE_S = 2  # RQ counts in whole seconds


def take(job: ClaimedJob, worker_name: str, now_s: float, pipe: Pipeline) -> None:
    """Add to a MULTI that this worker has the job, for ``LEASE_S``."""
    job.execution = Execution(uuid4().hex, job.id, connection=job.record.connection, worker_name=worker_name)
    job.execution.save(LEASE_S, pipe)
    _enter(job, job.execution, now_s, pipe, renewed=False)


def renew(job: ClaimedJob, now_s: float, pipe: Pipeline) -> None:
    """Add to a MULTI that it has it for ``LEASE_S`` from now on, unless somebody has taken it away meanwhile."""
    if job.execution is not None:
        pipe.hset(job.execution.key, "last_heartbeat", str(now_s))
        pipe.expire(job.execution.key, LEASE_S)
        _enter(job, job.execution, now_s, pipe, renewed=True)


def release(job: ClaimedJob, pipe: Pipeline) -> None:
    """Add to a MULTI that the job is in nobody's hand."""
    if job.execution is not None:
        job.execution.delete(job=job.record, pipeline=pipe)


def _enter(job: ClaimedJob, execution: Execution, now_s: float, pipe: Pipeline, *, renewed: bool) -> None:
    pipe.zadd(job.record.started_job_registry.key, {execution.composite_key: now_s + LEASE_S}, xx=renewed)
    ExecutionRegistry(job.id, connection=execution.connection).add(execution, LEASE_S, pipe)

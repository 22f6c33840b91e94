"""One RQ job as this worker sees it: checked against the allow-list, never resolved to code by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError
from rq.job import Job, JobStatus

from contract.job_queue import SERIALIZER, TASK
from contract.messages import ClassifyJob

if TYPE_CHECKING:
    from redis import Redis
    from redis.exceptions import RedisError
    from rq.executions import Execution

MAX_TRIES_ALONE = 3
_TRIES_ALONE = "tries_alone"


@dataclass(slots=True)
class ClaimedJob:
    """A job that this worker has taken off the queue, or looks at for recovery.

    Attributes:
        record: RQ's record of it. Nothing of RQ's that imports, calls back or sends is ever called on it.
        task: what to do; None when the job carries something else, which is refused.
        tries_alone: runs that it began alone. Runs among others do not count: it pays for no neighbour's fault.
        execution: RQ's record of this run, from the start of the batch on.
    """

    record: Job
    task: ClassifyJob | None
    tries_alone: int
    execution: Execution | None = None

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def sharing_key(self) -> str:
        """Jobs of a batch with the same key get the same outcome."""
        return self.task.computation if self.task is not None and self.task.cache else self.id

    @property
    def ran_before(self) -> bool:
        """Whether a worker has begun it before; such a job runs alone, for it may be what killed that worker."""
        return self.record.worker_name is not None

    @property
    def ended(self) -> bool:
        """Whether another worker has settled it meanwhile, after a lease that was lost and found."""
        return self.record.get_status(refresh=False) in {JobStatus.FINISHED, JobStatus.FAILED}

    @property
    def given_up(self) -> bool:
        """Whether it has had all its tries."""
        return self.tries_alone >= MAX_TRIES_ALONE

    def count_try_alone(self) -> bytes:
        """Count one more; returns the field ``meta`` of the job's hash to write."""
        self.tries_alone += 1
        self.record.meta[_TRIES_ALONE] = self.tries_alone
        meta: bytes = self.record.serializer.dumps(self.record.meta)
        return meta


def is_wrong_type(error: RedisError) -> bool:
    """Whether Redis holds something else than a hash under a job's key: somebody put an ID of no job in the queue."""
    return isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE")


def read_claimed_job(redis: Redis, job_id: str, fields: dict[bytes, bytes]) -> ClaimedJob:
    """Read a job's hash in Redis.

    Raises:
        Exception: the hash is no RQ job's. RQ reads it field by field and raises whatever a forged one provokes.
    """
    record = Job(job_id, connection=redis, serializer=SERIALIZER)
    record.restore(fields)
    tries_alone = int(record.meta.get(_TRIES_ALONE, 0))
    try:
        name, instance, args, kwargs = record.serializer.loads(record.data)
        known = name == TASK and instance is None and not kwargs
        task = ClassifyJob.from_wire(args, record.meta) if known else None
    except ValueError:
        task = None
    return ClaimedJob(record, task, tries_alone)

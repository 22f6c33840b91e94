"""One RQ job as this worker sees it: checked against the allow-list, never resolved to code by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rq.job import Job, JobStatus

from contract.job_queue import COPY_TASK, DETECT_TASK, DRAW_TASK, SERIALIZER, TASK
from contract.messages import ClassifyJob, CopyJob, DetectJob, DrawJob, PictureJob, Task
from contract.sender_jobs import Origin
from contract.shadow import Answered

if TYPE_CHECKING:
    from redis import Redis
    from rq.executions import Execution

MAX_TRIES_ALONE = 3
LONGEST_TTL_S = 31 * 86400  # above what JOB_TTL_S may be
# Of a job's fields, what a worker needs and what it writes back. No callback, no dependency, no webhook is ever read.
_FIELDS = (
    b"data", b"meta", b"status", b"description", b"timeout", b"result_ttl", b"failure_ttl", b"worker_name",
    b"created_at", b"enqueued_at", b"started_at",
)  # fmt: skip
_TRIES_ALONE = "tries_alone"
_UNREADABLE = "unserialized"  # where RQ keeps the bytes of a ``meta`` that its serializer can't read


@dataclass(slots=True)
class ClaimedJob:
    """A job that this worker has taken off the queue, or looks at for recovery.

    Attributes:
        record: RQ's record of it. Nothing of RQ's that imports, calls back or sends is ever called on it.
        task: what to do; None when the job carries something else, which is refused.
        tries_alone: runs that it began alone. Runs among others do not count: it pays for no neighbour's fault.
        origin: the async job that waits for its outcome, if there is one.
        shadow_of: what was answered already, if this is a candidate's computation beside it.
        execution: RQ's record of this run, from the start of the batch on.
    """

    record: Job
    task: Task | None
    tries_alone: int
    origin: Origin | None = None
    shadow_of: Answered | None = None
    execution: Execution | None = None

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def request_id(self) -> str:
        """Of the request that submitted it; "-" if there is none that a log could name."""
        return (self.task.request_id if isinstance(self.task, PictureJob) else "") or "-"

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
        return self._count(1)

    def take_back_try_alone(self) -> bytes:
        """Count the latest one no more; returns the same."""
        return self._count(-1)

    def _count(self, more: int) -> bytes:
        self.tries_alone += more
        self.record.meta[_TRIES_ALONE] = self.tries_alone
        meta: bytes = self.record.serializer.dumps(self.record.meta)
        return meta


def read_claimed_job(redis: Redis, queue: str, job_id: str, fields: dict[bytes, bytes]) -> ClaimedJob:
    """Read a job's hash in Redis. What it says of itself counts only where it can be so.

    Args:
        queue: name of the queue on which the ID was found, whatever the hash says.

    Raises:
        Exception: the hash is no RQ job's. RQ reads it field by field and raises whatever a forged one provokes.
    """
    record = Job(job_id, connection=redis, serializer=SERIALIZER)
    record.restore({name: fields[name] for name in _FIELDS if name in fields})
    record.origin = queue
    record.meta = _readable(record.meta)
    record.result_ttl, record.failure_ttl = _possible_ttl(record.result_ttl), _possible_ttl(record.failure_ttl)
    tries_alone = _possible_tries(record.meta.get(_TRIES_ALONE))
    try:
        name, instance, args, kwargs = record.serializer.loads(record.data)
        task = _task(name, args, record.meta) if instance is None and not kwargs else None
    except ValueError:
        task = None
    return ClaimedJob(record, task, tries_alone, Origin.from_meta(record.meta), Answered.from_meta(record.meta))


def _task(name: Any, args: Any, meta: dict[str, Any]) -> Task | None:
    """By the allow-list; raises ValueError if it is not what its name says."""
    match name:
        case str() if name == TASK:
            return ClassifyJob.from_wire(args, meta)
        case str() if name == DETECT_TASK:
            return DetectJob.from_wire(args, meta)
        case str() if name == COPY_TASK:
            return CopyJob.from_wire(args)
        case str() if name == DRAW_TASK:
            return DrawJob.from_wire(args)
    return None


def _readable(meta: Any) -> dict[str, Any]:
    """What there is beside the job's arguments; nothing if it is not JSON.

    ``rq requeue`` writes it anew with pickle, unless it is told otherwise. A pickle is never loaded: the job that an
    operator puts back on the queue has all its tries again, and is strict.
    """
    return meta if isinstance(meta, dict) and _UNREADABLE not in meta else {}


def _possible_ttl(ttl_s: int | None) -> int | None:
    return ttl_s if ttl_s is not None and 0 < ttl_s <= LONGEST_TTL_S else None


def _possible_tries(tries: Any) -> int:
    return tries if type(tries) is int and 0 <= tries <= MAX_TRIES_ALONE else 0

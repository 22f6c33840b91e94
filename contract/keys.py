"""Every Redis key of ours, spelled out, and RQ's keys that we read ourselves. What each holds: docs/architecture.md.

An upgrade must find what the version before it has accepted, so keys keep their names (docs/decisions/0014). Where a
key takes a ``model``, that is ``ModelVersion.key``: queues, registry entries and answers belong to a version.
"""

from __future__ import annotations


def answer(model: str, digest: str, computation: str) -> str:
    return f"answer:{model}:{digest}:{computation}"


def inflight(model: str, computation: str) -> str:
    return f"inflight:{model}:{computation}"


def wanted(job_id: str) -> str:
    return f"wanted:{job_id}"


def deleted(job_id: str) -> str:
    return f"deleted:{job_id}"


def async_job(job_id: str) -> str:
    """Named when async jobs were called tickets; it stays, so that old and new processes can share one Redis."""
    return f"ticket:{job_id}"


def sender_jobs(sender: str) -> str:
    return f"jobs:{sender}"


def sender_ended_jobs(sender: str) -> str:
    return f"ended-jobs:{sender}"


def rq_job(job_id: str) -> str:
    """RQ's own record of a job."""
    return f"rq:job:{job_id}"


def rq_execution(run: str) -> str:
    """RQ's record of one run of a job; ``run`` is the job's ID, a colon and the run's."""
    return f"rq:execution:{run}"


def rq_queue(queue: str) -> str:
    """RQ's list of the jobs that wait."""
    return f"rq:queue:{queue}"


def idempotency(key: str) -> str:
    """``key`` is the SHA-256 of the sender's key, which may be long."""
    return f"idempotency:{key}"


def workers(model: str) -> str:
    return f"workers:{model}"


def bulk_workers(model: str) -> str:
    return f"bulk-workers:{model}"


def worker(model: str, worker_id: str) -> str:
    return f"worker:{model}:{worker_id}"


def recovery(queue: str) -> str:
    return f"recovery:{queue}"


def labels(model: str, digest: str) -> str:
    return f"labels:{model}:{digest}"


def description(model: str, digest: str) -> str:
    return f"description:{model}:{digest}"


def holders(picture: str) -> str:
    return f"holders:{picture}"


def usage(senders: str, window: str, unit: str) -> str:
    """``senders`` is ``keys`` or ``addresses``; ``window`` names a minute or a day; ``unit`` says what was counted."""
    return f"usage:{senders}:{window}:{unit}"


def model(name: str) -> str:
    """What holds for all versions of a model: which of them is current."""
    return f"model:{name}"


def changes(name: str) -> str:
    """What has changed that, when and by whom."""
    return f"changes:{name}"


def load(name: str) -> str:
    """What all workers of a model are asked to load."""
    return f"load:{name}"


def load_replies(request_id: str) -> str:
    return f"load-replies:{request_id}"


def shadow(model: str) -> str:
    """How often a candidate has agreed with what was answered."""
    return f"shadow:{model}"


def disagreements(model: str) -> str:
    return f"disagreements:{model}"


def tally(model: str) -> str:
    """How many computations of a version have failed while there is a candidate."""
    return f"tally:{model}"


def check(model: str) -> str:
    """The latest check of a version against the one that was current then."""
    return f"check:{model}"


def checking(name: str) -> str:
    """Which check of a model runs now; it expires when its process falls silent."""
    return f"checking:{name}"


def wake(workers: str) -> str:
    """A list on which idle workers that serve the same several models wait; ``workers`` names that set of models."""
    return f"wake:{workers}"


MODELS = "models"
TASKS = "tasks"
REFUSED_PICTURES = "refused-pictures"
LAST_WORDS = "last-words"

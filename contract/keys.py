"""Every Redis key of ours, spelled out, and RQ's keys that we read ourselves. What each holds: docs/architecture.md.

An upgrade must find what the version before it has accepted, so keys keep their names (docs/decisions/0014).
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


def holders(picture: str) -> str:
    return f"holders:{picture}"


def usage(senders: str, window: str, unit: str) -> str:
    """``senders`` is ``keys`` or ``addresses``; ``window`` names a minute or a day; ``unit`` says what was counted."""
    return f"usage:{senders}:{window}:{unit}"


MODELS = "models"
REFUSED_PICTURES = "refused-pictures"
LAST_WORDS = "last-words"

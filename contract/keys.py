"""Every Redis key of ours, spelled out, and RQ's that we read ourselves. What each holds: docs/architecture.md.

An upgrade must find what the version before it has accepted, so a key keeps its name (docs/decisions/0014).
"""

from __future__ import annotations


def answer(model: str, digest: str, picture: str) -> str:
    return f"answer:{model}:{digest}:{picture}"


def inflight(model: str, picture: str) -> str:
    return f"inflight:{model}:{picture}"


def wanted(job_id: str) -> str:
    return f"wanted:{job_id}"


def async_job(job_id: str) -> str:
    """The key is older than the word: a service that is being upgraded reads and writes one form."""
    return f"ticket:{job_id}"


def rq_job(job_id: str) -> str:
    """RQ's own record of a job."""
    return f"rq:job:{job_id}"


def idempotency(key: str) -> str:
    """``key`` is the SHA-256 of what the sender chose: what it chose may be long."""
    return f"idempotency:{key}"


def workers(model: str) -> str:
    return f"workers:{model}"


def worker(model: str, worker_id: str) -> str:
    return f"worker:{model}:{worker_id}"


def recovery(queue: str) -> str:
    return f"recovery:{queue}"


def labels(model: str, digest: str) -> str:
    return f"labels:{model}:{digest}"


MODELS = "models"

"""Every Redis key of ours, spelled out; RQ's own start with ``rq:``. What each holds: docs/architecture.md."""

from __future__ import annotations


def answer(model: str, digest: str, picture: str) -> str:
    return f"answer:{model}:{digest}:{picture}"


def inflight(model: str, picture: str) -> str:
    return f"inflight:{model}:{picture}"


def wanted(computation: str) -> str:
    return f"wanted:{computation}"


def ticket(ticket_id: str) -> str:
    return f"ticket:{ticket_id}"


def idempotency(key: str) -> str:
    """``key`` is the SHA-256 of what the sender chose: what it chose may be long."""
    return f"idempotency:{key}"


def workers(model: str) -> str:
    return f"workers:{model}"


def worker(model: str, worker_id: str) -> str:
    return f"worker:{model}:{worker_id}"


def labels(model: str, digest: str) -> str:
    return f"labels:{model}:{digest}"


MODELS = "models"

"""The names of a model's classes, published by its workers: only they have the bundle, and people search the list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from contract import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

KEPT_FOR_S = 60  # longer than a worker's card, so that whoever reads the card finds its labels


def publish(redis: Redis, model: str, digest: str, labels: Sequence[str]) -> None:
    """Make ``labels``, by class index, readable for another ``KEPT_FOR_S``; to be repeated well within that.

    All but the first time this is one EXPIRE: the digest stands for the labels, so they never change under it.
    """
    key = keys.labels(model, digest)
    if not redis.expire(key, KEPT_FOR_S):
        redis.set(key, json.dumps(labels, ensure_ascii=False, separators=(",", ":")), ex=KEPT_FOR_S)


def read(redis: Redis, model: str, digest: str) -> tuple[str, ...] | None:
    """The published labels, by class index; None where no worker keeps any, or what is there is no list of texts."""
    raw: Any = redis.get(keys.labels(model, digest))
    try:
        found = json.loads(raw) if raw is not None else None
    except ValueError:
        return None
    return tuple(found) if isinstance(found, list) and all(isinstance(entry, str) for entry in found) else None

"""What a bundle's manifest says of a model, for whoever asks the API: only workers have the bundle.

Kept as labels are: each worker renews it every second, under the digest.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from contract import keys
from contract.redis_clients import raise_refusals
from contract.worker_registry import publish

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis

MOST_FACTS = 32  # of provenance
LONGEST_FACT = 1000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """``width`` and ``height`` are the network's input, in pixels; ``labels`` is their number."""

    task: str
    precision: str
    width: int
    height: int
    labels: int
    licence: str | None
    provenance: Mapping[str, str]

    @classmethod
    def parse(cls, raw: bytes | None) -> Self | None:
        """None if there is none, or it is not ours."""
        try:
            match json.loads(raw) if raw else None:
                case {
                    "task": str(task), "precision": str(precision), "width": int(width), "height": int(height),
                    "labels": int(labels), "licence": str() | None as licence, "provenance": dict(provenance),
                }:  # fmt: skip
                    facts = {str(key): str(fact)[:LONGEST_FACT] for key, fact in list(provenance.items())[:MOST_FACTS]}
                    return cls(
                        task=task, precision=precision, width=width, height=height,
                        labels=labels, licence=licence, provenance=facts,
                    )  # fmt: skip
        except (ValueError, RecursionError):
            pass
        return None


def publish_description(redis: Redis, model: str, digest: str, description: ModelDescription) -> None:
    """Publish it as ``publish`` does."""
    publish(redis, keys.description(model, digest), json.dumps(asdict(description), separators=(",", ":")).encode())


def read_descriptions(redis: Redis, models: Sequence[tuple[str, str]]) -> list[ModelDescription | None]:
    """What live workers have published lately of each ``ModelVersion.key`` and digest, in order; None if none has.

    Raises:
        RedisError: Redis does not answer.
    """
    with redis.pipeline(transaction=False) as pipe:
        for model, digest in models:
            pipe.get(keys.description(model, digest))
        found: Any = pipe.execute(raise_on_error=False) if models else []
    raise_refusals(found)
    return [None if isinstance(raw, Exception) else ModelDescription.parse(raw) for raw in found]

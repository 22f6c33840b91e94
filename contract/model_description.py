"""What a bundle's manifest says of a model, for whoever asks the API: only workers have the bundle.

Kept as labels are: each worker renews it every second, under the digest. Its task is kept for as long as the version is
known: jobs are taken for a model that has no live worker too, and they say what they ask for.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from contract import keys
from contract.model_task import ModelTask
from contract.redis_clients import raise_refusals
from contract.worker_registry import publish

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis
    from redis.client import Pipeline

MOST_FACTS = 32  # of provenance
LONGEST_FACT = 1000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """``width`` and ``height`` are the network's input, in pixels; ``labels`` is their number.

    Only of a detector there are ``min_score``, below which objects are no answer, and ``max_objects``, of one picture.
    """

    task: str
    precision: str
    width: int
    height: int
    labels: int
    licence: str | None
    provenance: Mapping[str, str]
    min_score: float | None = None
    max_objects: int | None = None

    @classmethod
    def parse(cls, raw: bytes | None) -> Self | None:
        """None if there is none, or it is not ours."""
        try:
            found = json.loads(raw) if raw else None
            match found:
                case {
                    "task": str(task), "precision": str(precision), "width": int(width), "height": int(height),
                    "labels": int(labels), "licence": str() | None as licence, "provenance": dict(provenance),
                }:  # fmt: skip
                    facts = {str(key): str(fact)[:LONGEST_FACT] for key, fact in list(provenance.items())[:MOST_FACTS]}
                    floor, most = _bounds(found)
                    return cls(
                        task=task, precision=precision, width=width, height=height,
                        labels=labels, licence=licence, provenance=facts, min_score=floor, max_objects=most,
                    )  # fmt: skip
        except (ValueError, RecursionError):
            pass
        return None

    def to_json(self) -> bytes:
        """What is not there is left out: of a classifier every version writes the same."""
        fields = asdict(self)
        for name in ("min_score", "max_objects"):
            if fields[name] is None:
                del fields[name]
        return json.dumps(fields, separators=(",", ":")).encode()


def _bounds(found: Any) -> tuple[float | None, int | None]:
    match found:
        case {"min_score": int() | float() as floor, "max_objects": int(most)} if 0 < floor < 1 <= most:
            return float(floor), most
    return None, None


def publish_description(redis: Redis, model: str, digest: str, description: ModelDescription) -> None:
    """Publish it as ``publish`` does, and the version's task.

    Raises:
        RedisError: Redis does not answer or refuses to write.
    """
    publish(redis, keys.description(model, digest), description.to_json())
    redis.hset(keys.TASKS, model, description.task)


def ask_tasks(pipe: Pipeline, models: Sequence[str]) -> None:
    """Ask for what each ``ModelVersion.key`` is for, at least one; ``tasks_told`` reads the reply."""
    pipe.hmget(keys.TASKS, list(models))


def tasks_told(models: Sequence[str], reply: Any) -> dict[str, str]:
    """By ``ModelVersion.key``. Workers that say nothing of it are older than detectors."""
    told = [None] * len(models) if isinstance(reply, Exception) else reply
    return {
        model: raw.decode(errors="replace") if raw is not None else ModelTask.CLASSIFICATION
        for model, raw in zip(models, told, strict=True)
    }


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

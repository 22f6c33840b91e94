"""Which workers are alive: they register and send a heartbeat every second, which the API and other workers read.

They also publish the labels of their model's classes: only workers have the bundle, and people search the list.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from contract import keys
from contract.decoding_cost import bounded
from contract.send_too import hear_nothing, nothing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis

    from contract.send_too import SendToo

ALIVE_FOR_S = 5  # a worker that has sent no heartbeat for this long counts as gone
LARGEST_BATCH = 256  # of the setting BATCH_MAX
LONGEST_SERVICE_MS = 3_600_000.0
MOST_MODELS = 100  # of which answers are looked for
MOST_KINDS = 32  # of pictures, of which a worker has learned what they cost
LABELS_KEPT_FOR_S = 60  # longer than a worker's entry, so that a reader of the entry finds its labels


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEntry:
    """A worker's entry in the registry.

    Attributes:
        host: the name of its machine or container.
        model, digest: what it serves.
        batch: the most pictures that it takes at once.
        service_ms: moving median of its time per picture, in milliseconds; 0 until it has served one.
        bulk_ms: mean time of the latest jobs of the bulk queues, in milliseconds; 0 until it has served one, None for a
            worker that does not know these queues.
        makes_copies: whether it makes clean copies of pictures; older workers do not.
        cost_factors: by kind of picture, what decoding took of what was expected (contract/decoding_cost.py).
    """

    worker_id: str
    host: str
    model: str
    digest: str
    batch: int
    service_ms: float
    bulk_ms: float | None = None
    cost_factors: Mapping[str, float] = field(default_factory=dict)
    makes_copies: bool = False


def most_bulk_workers(live: int, share: float) -> int:
    """How many of ``live`` workers that know the bulk queues serve them at a time: ``share`` of them, at least one."""
    return max(1, int(share * live))


@dataclass(frozen=True, slots=True)
class Roster:
    """``workers`` counts the live ones of a model; ``serves_bulk`` says whether the one that asks is to do so."""

    workers: int
    serves_bulk: bool


def register(redis: Redis, model: str) -> None:
    """Make ``model`` the one that new requests use: the model whose worker started last."""
    redis.zadd(keys.MODELS, {model: _now_s(redis)})


def heartbeat(redis: Redis, entry: WorkerEntry, *, bulk_share: float = 0.5) -> Roster:
    """Say that this worker is alive; to be repeated well within ``ALIVE_FOR_S`` seconds. Scores are Redis' time.

    Args:
        bulk_share: of the workers that serve the bulk queues.

    Returns:
        The live workers of its model, itself included. Those that serve bulk are the first by ID, so that all agree
        without asking each other.
    """
    now_s = _now_s(redis)
    key = keys.worker(entry.model, entry.worker_id)
    fields: dict[Any, Any] = {
        "host": entry.host,
        "digest": entry.digest,
        "batch": entry.batch,
        "service_ms": round(entry.service_ms, 3),
    }
    if entry.bulk_ms is not None:
        fields["bulk_ms"] = round(entry.bulk_ms, 3)
        fields["cost_factors"] = json.dumps({kind: round(factor, 3) for kind, factor in entry.cost_factors.items()})
    if entry.makes_copies:
        fields["copies"] = 1
    with redis.pipeline() as pipe:
        pipe.zadd(keys.MODELS, {entry.model: now_s}, nx=True)  # again after Redis has lost everything
        pipe.zadd(keys.workers(entry.model), {entry.worker_id: now_s})
        pipe.zremrangebyscore(keys.workers(entry.model), 0, now_s - ALIVE_FOR_S)
        pipe.hset(key, mapping=fields)
        pipe.expire(key, ALIVE_FOR_S)
        if entry.bulk_ms is not None:
            pipe.zadd(keys.bulk_workers(entry.model), {entry.worker_id: now_s})
        pipe.zremrangebyscore(keys.bulk_workers(entry.model), 0, now_s - ALIVE_FOR_S)
        pipe.zrange(keys.bulk_workers(entry.model), 0, -1)
        pipe.zcard(keys.workers(entry.model))
        *_, bulk_ids, alive = pipe.execute()
    chosen = sorted(bulk_ids)[: most_bulk_workers(len(bulk_ids), bulk_share)]
    return Roster(alive, entry.worker_id.encode() in chosen)


def deregister(redis: Redis, entry: WorkerEntry) -> None:
    """Remove this worker's entry, so that no request relies on it any more."""
    with redis.pipeline() as pipe:
        pipe.zrem(keys.workers(entry.model), entry.worker_id)
        pipe.zrem(keys.bulk_workers(entry.model), entry.worker_id)
        pipe.delete(keys.worker(entry.model, entry.worker_id))
        pipe.execute()


def live_workers(redis: Redis, send_too: SendToo = nothing) -> list[WorkerEntry]:
    """The live workers of the last registered model that has any; empty if no worker of any model is alive.

    Args:
        send_too: adds what goes along with the workers' entries.
    """
    names: Any = redis.zrevrange(keys.MODELS, 0, -1)
    for raw_name in names:
        entries = _live_of(redis, raw_name.decode(errors="replace"), send_too)
        if entries:
            return entries
    return []


def _live_of(redis: Redis, model: str, send_too: SendToo = nothing) -> list[WorkerEntry]:
    ids: Any = redis.zrangebyscore(keys.workers(model), _now_s(redis) - ALIVE_FOR_S, "+inf")
    with redis.pipeline(transaction=False) as pipe:
        for worker_id in ids:
            pipe.hgetall(keys.worker(model, worker_id.decode(errors="replace")))
        told, replies = send_too(pipe) if ids else hear_nothing, []
        try:
            replies = pipe.execute(raise_on_error=False)
        finally:
            told(replies[len(ids) :])
    hashes = replies[: len(ids)]
    read = (
        _entry(model, worker_id.decode(errors="replace"), fields) for worker_id, fields in zip(ids, hashes, strict=True)
    )
    return [entry for entry in read if entry is not None]


def newest_model(redis: Redis) -> str | None:
    """The model registered last, whether or not any of its workers is alive; None if no worker ever registered."""
    names: Any = redis.zrevrange(keys.MODELS, 0, 0)
    return names[0].decode(errors="replace") if names else None


def known_digests(redis: Redis) -> dict[str, set[str]]:
    """The digests that the live workers of each model serve, by the model's name; of models without any, none."""
    names: Any = redis.zrevrange(keys.MODELS, 0, MOST_MODELS - 1)
    found: dict[str, set[str]] = {}
    for raw_name in names:
        model = raw_name.decode(errors="replace")
        found[model] = {entry.digest for entry in _live_of(redis, model)}
    return found


def publish_labels(redis: Redis, model: str, digest: str, labels: Sequence[str]) -> None:
    """Publish ``labels``, by class index, for ``LABELS_KEPT_FOR_S`` seconds; to be repeated well within that.

    After the first time this is one GETEX: the digest identifies the labels, so they never change under it, unless
    somebody overwrites them. What is of another type is left to whoever clears keys like that.

    Raises:
        RedisError: Redis does not answer or refuses to write.
    """
    key = keys.labels(model, digest)
    ours = json.dumps(labels, ensure_ascii=False, separators=(",", ":")).encode()
    try:
        published = redis.getex(key, ex=LABELS_KEPT_FOR_S)
    except ResponseError as error:
        if not str(error).startswith("WRONGTYPE"):
            raise
    else:
        if published != ours:
            redis.set(key, ours, ex=LABELS_KEPT_FOR_S)


def read_labels(redis: Redis, model: str, digest: str) -> tuple[str, ...] | None:
    """The published labels, by class index; None if no worker publishes any, or the value is not a list of strings."""
    raw: Any = redis.get(keys.labels(model, digest))
    try:
        found = json.loads(raw) if raw is not None else None
    except ValueError:
        return None
    return tuple(found) if isinstance(found, list) and all(isinstance(label, str) for label in found) else None


def _entry(model: str, worker_id: str, fields: dict[bytes, bytes] | Exception) -> WorkerEntry | None:
    """The entry, or None if it has just expired, was written by another version, or says what can't be."""
    if isinstance(fields, Exception):
        return None
    try:
        entry = WorkerEntry(
            worker_id=worker_id,
            host=fields[b"host"].decode(),
            model=model,
            digest=fields[b"digest"].decode(),
            batch=int(fields[b"batch"]),
            service_ms=float(fields[b"service_ms"]),
            bulk_ms=_bulk_ms(fields.get(b"bulk_ms")),
            cost_factors=_cost_factors(fields.get(b"cost_factors")),
            makes_copies=fields.get(b"copies") == b"1",
        )
    except (KeyError, ValueError):
        return None
    possible = 1 <= entry.batch <= LARGEST_BATCH and 0 <= entry.service_ms <= LONGEST_SERVICE_MS
    return entry if possible else None


def _bulk_ms(raw: bytes | None) -> float | None:
    """None also for what can't be: it must not cost the worker its entry."""
    try:
        bulk_ms = float(raw) if raw is not None else -1.0
    except ValueError:
        return None
    return bulk_ms if 0 <= bulk_ms <= LONGEST_SERVICE_MS else None


def _cost_factors(raw: bytes | None) -> dict[str, float]:
    """Each within its bounds; what can't be is left out."""
    try:
        found = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or len(found) > MOST_KINDS:
        return {}
    return {str(kind): bounded(factor) for kind, factor in found.items() if type(factor) in {int, float}}


def _now_s(redis: Redis) -> float:
    now: Any = redis.time()
    seconds, microseconds = now
    return int(seconds) + int(microseconds) / 1e6

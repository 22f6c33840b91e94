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
from contract.redis_clients import raise_refusals
from contract.redis_clock import read_time_s
from contract.send_too import hear_nothing, nothing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from redis import Redis
    from redis.client import Pipeline

    from contract.model_version import ModelVersion
    from contract.send_too import SendToo

ENTRY_KEPT_FOR_S = 30  # what it has said of itself; who is alive, ``workers:<model>`` tells
ALIVE_FOR_S = 5  # a worker that has sent no heartbeat for this long counts as gone
LARGEST_BATCH = 256  # of the setting BATCH_MAX
LONGEST_SERVICE_MS = 3_600_000.0
MOST_MODELS = 100  # versions, of which answers and workers are looked for
REGISTERED_APART_S = 1e-4
LONGEST_WAKE = 64  # characters
MOST_KINDS = 32  # of pictures, of which a worker has learned what they cost
LABELS_KEPT_FOR_S = 60  # longer than a worker's entry, so that a reader of the entry finds its labels


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEntry:
    """A worker's entry in the registry.

    Attributes:
        host: the name of its machine or container.
        model, digest: what it serves; ``model`` is a ``ModelVersion.key``. A worker has an entry for each model.
        batch: the most pictures that it takes at once.
        service_ms: moving median of its time per picture, in milliseconds; 0 until it has served one.
        bulk_ms: mean time of the latest jobs of the bulk queues, in milliseconds; 0 until it has served one, None for a
            worker that does not know these queues.
        makes_copies: whether it makes clean copies of pictures; older workers do not.
        draws: whether it draws on pictures too; some that make copies are older than that.
        wake: the list that it waits on while idle, if that is not the queue itself (``keys.wake``); "" if it is.
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
    draws: bool = False
    wake: str = ""


def most_bulk_workers(live: int, share: float) -> int:
    """How many of ``live`` workers that know the bulk queues serve them at a time: ``share`` of them, at least one."""
    return max(1, int(share * live))


@dataclass(frozen=True, slots=True)
class Roster:
    """``workers`` counts the live ones of a model; ``serves_bulk`` says whether the one that asks is to do so."""

    workers: int
    serves_bulk: bool


def register(redis: Redis, models: Sequence[str]) -> dict[str, float]:
    """Make the first of ``models`` the newest, before the others: new requests use it unless they name another.

    Returns:
        When each is registered, by Redis' time.
    """
    now_s = read_time_s(redis)
    registered = {model: now_s - place * REGISTERED_APART_S for place, model in enumerate(models)}
    redis.zadd(keys.MODELS, registered)
    return registered


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker's heartbeat says of one version.

    Attributes:
        registered_s: when the model was registered. It is told again, as Redis may have lost it.
        in_full: whether the entry itself is written too, which it has to be when it has changed, and well within
            ``ENTRY_KEPT_FOR_S`` seconds.
    """

    entry: WorkerEntry
    registered_s: float
    in_full: bool = True


@dataclass(frozen=True, slots=True)
class Heard:
    """What a heartbeat learns of a version; ``was_known`` says whether Redis had this worker among the live ones."""

    roster: Roster
    was_known: bool


def heartbeats(redis: Redis, beats: Sequence[Beat], now_s: float, bulk_share: float) -> list[Heard]:
    """Say that this worker is alive; to be repeated well within ``ALIVE_FOR_S`` seconds. Scores are Redis' time.

    All versions take one round trip, and each takes four commands unless its entry is written in full.

    Args:
        now_s: Redis' time.
        bulk_share: of the workers that serve the bulk queues.

    Returns:
        For each version its live workers, this one included. Those that serve bulk are the first by ID, so that all
        agree without asking each other.
    """
    with redis.pipeline(transaction=False) as pipe:
        for beat in beats:
            if beat.in_full:
                _write(pipe, beat, now_s)
        written = len(pipe)
        for beat in beats:
            _say_alive(pipe, beat.entry, now_s)
        replies = iter(pipe.execute()[written:])
    return [_heard(beat.entry, replies, bulk_share) for beat in beats]


def heartbeat(
    redis: Redis, entry: WorkerEntry, *, bulk_share: float = 0.5, registered_s: float | None = None
) -> Roster:
    """As ``heartbeats``, of a worker with one version, in full; ``registered_s`` is now if it is None."""
    now_s = read_time_s(redis)
    beat = Beat(entry, now_s if registered_s is None else registered_s)
    (heard,) = heartbeats(redis, [beat], now_s, bulk_share)
    return heard.roster


def _write(pipe: Pipeline, beat: Beat, now_s: float) -> None:
    entry = beat.entry
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
    if entry.draws:
        fields["draws"] = 1
    if entry.wake:
        fields["wake"] = entry.wake
    key = keys.worker(entry.model, entry.worker_id)
    pipe.zadd(keys.MODELS, {entry.model: beat.registered_s}, nx=True)
    pipe.hset(key, mapping=fields)
    pipe.expire(key, ENTRY_KEPT_FOR_S)
    for workers in (keys.workers(entry.model), keys.bulk_workers(entry.model)):
        pipe.zremrangebyscore(workers, 0, now_s - ALIVE_FOR_S)


def _say_alive(pipe: Pipeline, entry: WorkerEntry, now_s: float) -> None:
    alive_since_s = now_s - ALIVE_FOR_S
    pipe.zadd(keys.workers(entry.model), {entry.worker_id: now_s})
    pipe.zcount(keys.workers(entry.model), alive_since_s, "+inf")
    if entry.bulk_ms is not None:
        pipe.zadd(keys.bulk_workers(entry.model), {entry.worker_id: now_s})
    pipe.zrangebyscore(keys.bulk_workers(entry.model), alive_since_s, "+inf")


def _heard(entry: WorkerEntry, replies: Iterator[Any], bulk_share: float) -> Heard:
    """By the replies to ``_say_alive``."""
    added, alive = next(replies), next(replies)
    if entry.bulk_ms is not None:
        next(replies)
    bulk_ids = next(replies)
    chosen = sorted(bulk_ids)[: most_bulk_workers(len(bulk_ids), bulk_share)]
    return Heard(Roster(alive, entry.worker_id.encode() in chosen), was_known=not added)


def deregister(redis: Redis, entry: WorkerEntry) -> None:
    """Remove this worker's entry, so that no request relies on it any more."""
    with redis.pipeline() as pipe:
        remove(pipe, entry)
        pipe.execute()


def remove(pipe: Pipeline, entry: WorkerEntry) -> None:
    """As ``deregister``, in a MULTI."""
    pipe.zrem(keys.workers(entry.model), entry.worker_id)
    pipe.zrem(keys.bulk_workers(entry.model), entry.worker_id)
    pipe.delete(keys.worker(entry.model, entry.worker_id))


def live_workers(redis: Redis, send_too: SendToo = nothing) -> list[WorkerEntry]:
    """The entries of all live workers, those of the model registered last before the others'.

    Args:
        send_too: adds what goes along with the workers' entries.
    """
    return live_workers_of(redis, known_models(redis), send_too)


def live_workers_of(redis: Redis, models: Sequence[str], send_too: SendToo = nothing) -> list[WorkerEntry]:
    """As ``live_workers``, of these models only."""
    alive_since_s = read_time_s(redis) - ALIVE_FOR_S
    with redis.pipeline(transaction=False) as pipe:
        for model in models:
            pipe.zrangebyscore(keys.workers(model), alive_since_s, "+inf")
        found = zip(models, pipe.execute(raise_on_error=False) if models else [], strict=True)
    names = [(model, raw.decode(errors="replace")) for model, ids in found for raw in _listed(ids)]
    with redis.pipeline(transaction=False) as pipe:
        for model, worker_id in names:
            pipe.hgetall(keys.worker(model, worker_id))
        told, replies = send_too(pipe) if names else hear_nothing, []
        try:
            replies = pipe.execute(raise_on_error=False)
        finally:
            told(replies[len(names) :])
    read = (_entry(*name, fields) for name, fields in zip(names, replies[: len(names)], strict=True))
    return [entry for entry in read if entry is not None]


def _listed(ids: Any) -> list[bytes]:
    """Nothing where Redis refuses because the key is of another type; whatever else it says is raised."""
    if isinstance(ids, Exception):
        raise_refusals((ids,))
        return []
    return list(ids)


def without_workers(redis: Redis, models: Sequence[ModelVersion]) -> list[ModelVersion]:
    """Those of ``models`` that no worker serves now."""
    alive_since_s = read_time_s(redis) - ALIVE_FOR_S
    with redis.pipeline(transaction=False) as pipe:
        for model in models:
            pipe.zcount(keys.workers(model.key), alive_since_s, "+inf")
        return [model for model, alive in zip(models, pipe.execute(), strict=True) if not alive]


def has_live_workers(redis: Redis, model: ModelVersion) -> bool:
    """Whether any worker serves this version now."""
    return bool(redis.zcount(keys.workers(model.key), read_time_s(redis) - ALIVE_FOR_S, "+inf"))


def known_models(redis: Redis) -> list[str]:
    """Every version that a worker has registered, the latest first, whether or not any of its workers is alive."""
    names: Any = redis.zrevrange(keys.MODELS, 0, MOST_MODELS - 1)
    return [name.decode(errors="replace") for name in names]


def known_digests(redis: Redis) -> dict[str, set[str]]:
    """The digests that the live workers of each version serve, by ``ModelVersion.key``; without any, none."""
    models = known_models(redis)
    found: dict[str, set[str]] = {model: set() for model in models}
    for entry in live_workers_of(redis, models):
        found[entry.model].add(entry.digest)
    return found


def forget(redis: Redis, models: Sequence[str]) -> None:
    """Let these versions be unknown until a worker registers them again."""
    if models:
        redis.zrem(keys.MODELS, *models)
        redis.hdel(keys.TASKS, *models)


def publish_labels(redis: Redis, model: str, digest: str, labels: Sequence[str]) -> None:
    """Publish ``labels``, by class index, as ``publish`` does."""
    ours = json.dumps(labels, ensure_ascii=False, separators=(",", ":")).encode()
    publish(redis, keys.labels(model, digest), ours)


def publish(redis: Redis, key: str, ours: bytes) -> None:
    """Keep what a digest identifies for ``LABELS_KEPT_FOR_S`` seconds; to be repeated well within that.

    After the first time this is one GETEX: it never changes under its digest, unless somebody overwrites it. What is of
    another type is left to whoever clears keys like that.

    Raises:
        RedisError: Redis does not answer or refuses to write.
    """
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
            draws=fields.get(b"draws") == b"1",
            wake=fields.get(b"wake", b"").decode()[:LONGEST_WAKE],
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

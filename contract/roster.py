"""Who is at work: workers announce themselves every second, for the API (who, how fast) and each other (how many)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contract import keys

if TYPE_CHECKING:
    from redis import Redis

ALIVE_FOR_S = 5  # a worker that has not announced itself for this long counts as gone


@dataclass(frozen=True, slots=True)
class WorkerCard:
    """What a worker says of itself.

    Attributes:
        host: the name of its machine or container.
        model, digest: what it serves.
        generation: number of the reload that it has followed; the highest one alive is current.
        batch: most pictures that it takes at once.
        service_ms: moving median of its time per picture, in milliseconds; 0 until it has served one.
        last_error: its latest fault in words, or "".
    """

    worker_id: str
    host: str
    model: str
    digest: str
    generation: int
    batch: int
    service_ms: float
    last_error: str


def introduce(redis: Redis, model: str) -> None:
    """Make ``model`` the one that new requests ask for: the model whose worker started last."""
    redis.zadd(keys.MODELS, {model: _now_s(redis)})


def announce(redis: Redis, card: WorkerCard) -> int:
    """Say that this worker is alive; to be repeated well within ``ALIVE_FOR_S``. Scores are Redis' time.

    Returns:
        How many workers of its model are alive, itself included.
    """
    now_s = _now_s(redis)
    key = keys.worker(card.model, card.worker_id)
    with redis.pipeline() as pipe:
        pipe.zadd(keys.MODELS, {card.model: now_s}, nx=True)  # back again after Redis lost everything
        pipe.zadd(keys.workers(card.model), {card.worker_id: now_s})
        pipe.zremrangebyscore(keys.workers(card.model), 0, now_s - ALIVE_FOR_S)
        pipe.hset(
            key,
            mapping={
                "host": card.host,
                "digest": card.digest,
                "generation": card.generation,
                "batch": card.batch,
                "service_ms": round(card.service_ms, 3),
                "last_error": card.last_error,
            },
        )
        pipe.expire(key, ALIVE_FOR_S)
        pipe.zcard(keys.workers(card.model))
        alive: int = pipe.execute()[-1]
    return alive


def withdraw(redis: Redis, card: WorkerCard) -> None:
    """Say goodbye, so that nobody counts on this worker any more."""
    with redis.pipeline() as pipe:
        pipe.zrem(keys.workers(card.model), card.worker_id)
        pipe.delete(keys.worker(card.model, card.worker_id))
        pipe.execute()


def workers_alive(redis: Redis) -> list[WorkerCard]:
    """The live workers of the model introduced last that has any; empty when no worker of any model is alive."""
    names: Any = redis.zrevrange(keys.MODELS, 0, -1)
    for raw_name in names:
        model = raw_name.decode()
        ids: Any = redis.zrangebyscore(keys.workers(model), _now_s(redis) - ALIVE_FOR_S, "+inf")
        with redis.pipeline(transaction=False) as pipe:
            for worker_id in ids:
                pipe.hgetall(keys.worker(model, worker_id.decode()))
            hashes = pipe.execute()
        read = (_card(model, worker_id.decode(), fields) for worker_id, fields in zip(ids, hashes, strict=True))
        cards = [card for card in read if card is not None]
        if cards:
            return cards
    return []


def newest_model(redis: Redis) -> str | None:
    """The model introduced last, whether or not any of its workers is alive; None where no worker ever was."""
    names: Any = redis.zrevrange(keys.MODELS, 0, 0)
    return names[0].decode() if names else None


def _card(model: str, worker_id: str, fields: dict[bytes, bytes]) -> WorkerCard | None:
    """The card, or None where it has just run out, or is of another version's making."""
    try:
        return WorkerCard(
            worker_id=worker_id,
            host=fields[b"host"].decode(),
            model=model,
            digest=fields[b"digest"].decode(),
            generation=int(fields[b"generation"]),
            batch=int(fields[b"batch"]),
            service_ms=float(fields[b"service_ms"]),
            last_error=fields[b"last_error"].decode(),
        )
    except (KeyError, ValueError):
        return None


def _now_s(redis: Redis) -> float:
    seconds, microseconds = _pair(redis.time())
    return seconds + microseconds / 1e6


def _pair(value: Any) -> tuple[int, int]:
    seconds, microseconds = value
    return int(seconds), int(microseconds)

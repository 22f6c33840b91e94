"""Why a worker could not begin: it leaves a sentence for whoever asks the API why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from contract import keys

if TYPE_CHECKING:
    from redis import Redis

KEPT_FOR_S = 120  # a container that ends again and again is started at least once a minute
LONGEST = 300  # characters


def leave(redis: Redis, words: str) -> None:
    """Keep ``words``, of which API clients may read every one, for ``KEPT_FOR_S`` seconds; those before them are gone.

    Raises:
        RedisError: Redis does not answer or refuses to write.
    """
    redis.set(keys.LAST_WORDS, " ".join(words.split())[:LONGEST].encode(), ex=KEPT_FOR_S)


def take_back(redis: Redis) -> None:
    """There is a worker now: what an earlier one has left would mislead when this one is gone.

    Raises:
        RedisError: Redis does not answer or refuses to write.
    """
    redis.delete(keys.LAST_WORDS)


def read(redis: Redis) -> str | None:
    """What was left; None also for what no worker can have written.

    Raises:
        RedisError: Redis does not answer.
    """
    try:
        raw: Any = redis.get(keys.LAST_WORDS)
    except ResponseError as error:
        if not str(error).startswith("WRONGTYPE"):
            raise
        return None
    words = raw.decode(errors="replace") if raw else ""
    return words if words.isprintable() and 0 < len(words) <= LONGEST else None

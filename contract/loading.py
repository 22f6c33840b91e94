"""Asking all workers of a model to load another version of it, and what each of them says.

The request stands in Redis, where workers see it with their next heartbeat, those too that start meanwhile. A worker
that serves the version beside the others registers for it; one that can't says why.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from redis.exceptions import WatchError

from contract import keys
from contract.model_state import ModelState
from contract.model_version import ModelVersion
from contract.worker_registry import WorkerEntry, remove

if TYPE_CHECKING:
    from redis import Redis

LOADED_WITHIN_S = 90  # of which a worker may take all: a large network on a busy machine
REPLIES_KEPT_FOR_S = 300
LONGEST_PATH = 200  # characters
LONGEST_REASON = 500  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """What to load: the version ``version``, the bundle at ``path`` below the models' folder, or else the newest there.

    ``id`` is 32 hex digits.
    """

    id: str
    version: str | None = None
    path: str | None = None

    @classmethod
    def new(cls, *, version: str | None = None, path: str | None = None) -> Self:
        return cls(id=uuid4().hex, version=version, path=path)

    @classmethod
    def parse(cls, raw: bytes | None) -> Self | None:
        """None if there is none, or it is not ours."""
        try:
            match json.loads(raw) if raw else None:
                case {"id": str(id_), "version": str() | None as version, "path": str() | None as path}:
                    return cls(id=id_, version=version, path=path)
        except (ValueError, RecursionError):
            pass
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReply:
    """What one worker says.

    Attributes:
        host: the name of its machine or container.
        model: the ``ModelVersion.key`` that it serves now; "" if it has refused.
        digest, precision: which variant of it.
        interface: what all variants of a version share: 64 hex digits of labels and preprocessing.
        refused: why it does not, in a sentence without places; "" if it does.
    """

    worker_id: str
    host: str
    model: str = ""
    digest: str = ""
    precision: str = ""
    interface: str = ""
    refused: str = ""

    @classmethod
    def parse(cls, raw: bytes) -> Self | None:
        """None for what is not ours."""
        try:
            found = json.loads(raw)
            return cls(**{str(name): str(value)[:LONGEST_REASON] for name, value in found.items()})
        except (ValueError, TypeError, AttributeError, RecursionError):
            return None


def begin(redis: Redis, name: str, request: LoadRequest) -> bool:
    """Ask for it, unless something is being loaded under this name already; returns whether it is asked for now.

    Raises:
        RedisError: Redis does not answer or refuses to write.
    """
    text = json.dumps(asdict(request), separators=(",", ":"))
    return bool(redis.set(keys.load(name), text, nx=True, ex=LOADED_WITHIN_S + 30))


def current(redis: Redis, name: str) -> LoadRequest | None:
    """What is being loaded under this name now.

    Raises:
        RedisError: Redis does not answer.
    """
    raw: Any = redis.get(keys.load(name))
    return LoadRequest.parse(raw)


def end(redis: Redis, name: str, request: LoadRequest) -> None:
    """It is decided; another may begin.

    Raises:
        RedisError: Redis does not answer; it ends by itself.
    """
    key = keys.load(name)
    with redis.pipeline() as pipe:
        try:
            pipe.watch(key)  # type: ignore[no-untyped-call]
            raw: Any = pipe.get(key)
            if LoadRequest.parse(raw) == request:
                pipe.multi()
                pipe.delete(key)
                pipe.execute()
        except WatchError:
            return  # it has run out, and another has begun


def withdraw(redis: Redis, entry: WorkerEntry, state: ModelState) -> None:
    """Remove the entry of a worker that is about to unload a version, which is not needed in this state of its model.

    Whoever has asked for a version, and finds it registered after that, can move a model's name to it: it stays.

    Raises:
        WatchError: the state is another by now, or something is being loaded; the entry stays.
        RedisError: Redis does not answer.
    """
    name = ModelVersion.from_key(entry.model).name
    with redis.pipeline() as pipe:
        for key in (keys.load(name), keys.model(name)):  # one by one: they are in two lines of redis_users
            pipe.watch(key)  # type: ignore[no-untyped-call]
        asked: Any = pipe.get(keys.load(name))
        found: Any = pipe.hgetall(keys.model(name))
        if asked is not None or ModelState.read(found) != state:
            raise WatchError(f"{entry.model} may be needed again")
        pipe.multi()
        remove(pipe, entry)
        pipe.execute()


def reply(redis: Redis, request: LoadRequest, told: LoadReply) -> None:
    """Tell whoever waits.

    Raises:
        RedisError: Redis does not answer.
    """
    key = keys.load_replies(request.id)
    with redis.pipeline() as pipe:
        pipe.rpush(key, json.dumps(asdict(told), separators=(",", ":")))
        pipe.expire(key, REPLIES_KEPT_FOR_S)
        pipe.execute()


def next_reply(redis: Redis, request: LoadRequest, within_s: float) -> LoadReply | None:
    """The next reply, or None if none comes within ``within_s`` seconds.

    Raises:
        RedisError: Redis does not answer.
    """
    found: Any = redis.blpop([keys.load_replies(request.id)], within_s)
    return LoadReply.parse(found[1]) if found is not None else None

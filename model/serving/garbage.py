"""What others have written into Redis where this service keeps its own: it must cost no more than what it overwrote."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from contract import keys
from contract.model_version import ModelVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from redis import Redis
    from redis.exceptions import RedisError
    from rq import Queue

    from contract.worker_registry import WorkerEntry

log = logging.getLogger(__name__)

ASIDE = "garbage:"  # before the name of a key that was in the way, for an operator to look at
KEPT_FOR_S = 7 * 86400
LOOKED_AT_ONCE = 48  # more than a worker of one version has
COUNTERS = ("successful_job_count", "failed_job_count")


def is_garbage(error: RedisError) -> bool:
    """Whether Redis refuses because of what somebody wrote into a key: its type, or a value that is no number.

    Otherwise Redis itself is in trouble, as when it has no memory left, and nothing is said about the key. Redis' codes
    are words in capitals, of which redis-py takes off the commonest, ``ERR``.
    """
    if type(error) is not ResponseError:
        return False
    code = str(error).rpartition("caused error: ")[2].partition(" ")[0]  # a pipeline says before it which command
    return code == "WRONGTYPE" or not code.isupper()


class SharedKeys:
    """The keys that all jobs of a worker need, whoever sent them.

    Args:
        rq_worker_key: RQ's record of the worker.
        wake: the list that it waits on while idle.
    """

    def __init__(self, redis: Redis, rq_worker_key: str, wake: str) -> None:
        self._redis = redis
        self._rq_worker_key = rq_worker_key
        self._of_all: dict[str, bytes] = {
            keys.MODELS: b"zset",
            keys.TASKS: b"hash",
            keys.REFUSED_PICTURES: b"zset",
            keys.wake(wake): b"list",
            rq_worker_key: b"hash",
            "rq:workers": b"set",
            "rq:queues": b"set",
        }
        self._of_model: dict[str, dict[str, bytes]] = {}
        self._types = self._of_all
        self._next = 0

    def add(self, entry: WorkerEntry, queues: Iterable[Queue]) -> None:
        """Those of one more version that the worker serves."""
        types = {
            keys.model(ModelVersion.from_key(entry.model).name): b"hash",
            keys.workers(entry.model): b"zset",
            keys.bulk_workers(entry.model): b"zset",
            keys.worker(entry.model, entry.worker_id): b"hash",
            keys.labels(entry.model, entry.digest): b"string",
            keys.description(entry.model, entry.digest): b"string",
        }
        for queue in queues:
            types |= {
                queue.key: b"list",
                queue.intermediate_queue_key: b"list",
                queue.started_job_registry.key: b"zset",
                queue.finished_job_registry.key: b"zset",
                queue.failed_job_registry.key: b"zset",
                f"rq:workers:{queue.name}": b"set",
            }
        self._of_model[entry.model] = types
        self._put_together()

    def remove(self, model: str) -> None:
        """Those of a version that the worker serves no longer."""
        del self._of_model[model]
        self._put_together()

    def _put_together(self) -> None:
        """Anew: the heartbeat's thread may be reading the other."""
        self._types = {key: kind for types in (self._of_all, *self._of_model.values()) for key, kind in types.items()}

    def clear(self) -> bool:
        """Move every key of another type than ours out of the way; returns whether there was anything.

        Raises:
            RedisError: Redis does not answer.
        """
        return self._clear(self._types)

    def clear_next(self) -> bool:
        """As ``clear``, of the next ``LOOKED_AT_ONCE`` keys: however many there are, each call costs as much."""
        types = self._types
        names = list(types)
        first = self._next if self._next < len(names) else 0
        self._next = first + LOOKED_AT_ONCE
        return self._clear({name: types[name] for name in names[first : self._next]})

    def _clear(self, types_ours: Mapping[str, bytes]) -> bool:
        with self._redis.pipeline(transaction=False) as pipe:
            for key in types_ours:
                pipe.type(key)
            pipe.hmget(self._rq_worker_key, COUNTERS)
            *types, counts = pipe.execute(raise_on_error=False)  # the last is refused if its key is of another type
        refusal = next((found for found in types if isinstance(found, Exception)), None)
        if refusal is not None:
            raise refusal
        wrong = [
            key for (key, ours), found in zip(types_ours.items(), types, strict=True) if found not in {ours, b"none"}
        ]
        for key in wrong:
            log.error("%s held something that is not ours: it is now %s%s", key, ASIDE, key)
            with self._redis.pipeline() as pipe:
                pipe.rename(key, ASIDE + key)
                pipe.expire(ASIDE + key, KEPT_FOR_S)
                pipe.execute(raise_on_error=False)  # another worker may have been faster
        return self._clear_counters(counts) or bool(wrong)

    def _clear_counters(self, counts: list[bytes | None] | Exception) -> bool:
        """RQ's counts of what this worker did: where one is no number, Redis refuses to add to it."""
        if isinstance(counts, Exception):
            return False
        wrong = [name for name, count in zip(COUNTERS, counts, strict=True) if count and not count.isdigit()]
        if wrong:
            self._redis.hdel(self._rq_worker_key, *wrong)
        return bool(wrong)

"""The whole worker registry as it is now, in three round trips: which models there are, what is current, who serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract import keys
from contract.model_description import ask_tasks, tasks_told
from contract.model_state import ModelState
from contract.model_version import ModelVersion
from contract.send_too import nothing
from contract.worker_registry import known_models, live_workers_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis

    from contract.send_too import SendToo
    from contract.worker_registry import WorkerEntry


@dataclass(frozen=True, slots=True)
class Registry:
    """``models`` are ``ModelVersion.key``, the latest registered first; ``tasks`` are by these, ``states`` by name."""

    models: Sequence[str]
    states: Mapping[str, ModelState]
    workers: Sequence[WorkerEntry]
    tasks: Mapping[str, str]


def read_registry(redis: Redis, send_too: SendToo = nothing) -> Registry:
    """Read it.

    Args:
        send_too: adds what goes along with the workers' entries.

    Raises:
        RedisError: Redis does not answer.
    """
    models = known_models(redis)
    workers = live_workers_of(redis, models, send_too)
    names = sorted({ModelVersion.from_key(model).name for model in models})
    with redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hgetall(keys.model(name))
        if models:
            ask_tasks(pipe, models)
        *replies, tasks = pipe.execute(raise_on_error=False) if models else [[]]
    read = {name: ModelState.read(fields) for name, fields in zip(names, replies, strict=True)}
    states = {name: state for name, state in read.items() if state is not None}
    return Registry(models, states, workers, tasks_told(models, tasks))

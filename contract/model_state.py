"""Which version of a model is current: the one pointer in Redis that a model's bare name stands for.

Workers set it when none of those of the current version is alive; after that it moves on an operator's word only.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from redis.exceptions import WatchError

from contract import keys
from contract.model_version import VERSION, ModelVersion
from contract.worker_registry import has_live_workers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis


@dataclass(frozen=True, slots=True)
class ModelState:
    """What Redis holds of a model.

    Attributes:
        current: the version that its bare name means.
        previous: the version before that; None if there was none.
        generation: how often the pointer has moved. Of two states the one that has moved more often is the later one,
            so after Redis has lost its data a worker that remembers more writes it back.
    """

    current: str
    previous: str | None
    generation: int

    @classmethod
    def read(cls, fields: Mapping[bytes, bytes] | Exception) -> Self | None:
        """None if there is none, or what is there is not ours."""
        if isinstance(fields, Exception):
            return None
        try:
            text = {name.decode(): value.decode() for name, value in fields.items()}
            state = cls(text["current"], text.get("previous") or None, int(text["generation"]))
        except (KeyError, ValueError):
            return None
        return state if VERSION.fullmatch(state.current) else None

    def fields(self) -> dict[str, str | int]:
        return {"current": self.current, "previous": self.previous or "", "generation": self.generation}


def read_state(redis: Redis, name: str) -> ModelState | None:
    """Raises RedisError: Redis does not answer."""
    fields: Any = redis.hgetall(keys.model(name))
    return ModelState.read(fields)


def claim(redis: Redis, model: ModelVersion, remembered: ModelState | None) -> ModelState:
    """Say that a live worker's settings name this version, and which state it remembers.

    The pointer moves to it if the name has none, or no worker of the current version is alive; and to what is
    remembered if Redis knows of fewer moves.

    Returns:
        The state as it is now.

    Raises:
        RedisError: Redis does not answer.
    """
    state = read_state(redis, model.name)
    wanted = _wanted(redis, model, state, remembered)
    if wanted is None:
        assert state is not None  # noqa: S101  # without one there is something to write
        return state
    with suppress(WatchError):
        return move(redis, model.name, state, wanted)
    return read_state(redis, model.name) or wanted  # another worker was faster


def _wanted(
    redis: Redis, model: ModelVersion, state: ModelState | None, remembered: ModelState | None
) -> ModelState | None:
    if remembered is not None and (state is None or state.generation < remembered.generation):
        return remembered
    if state is None:
        return ModelState(model.version, None, 1)
    if state.current == model.version or has_live_workers(redis, ModelVersion(model.name, state.current)):
        return None
    return ModelState(model.version, state.current, state.generation + 1)


def move(redis: Redis, name: str, expected: ModelState | None, wanted: ModelState) -> ModelState:
    """Compare and set.

    Raises:
        WatchError: the state is not ``expected`` (any more); nothing has changed.
        RedisError: Redis does not answer.
    """
    key = keys.model(name)
    with redis.pipeline() as pipe:
        pipe.watch(key)  # type: ignore[no-untyped-call]
        found: Any = pipe.hgetall(key)
        if ModelState.read(found) != expected:
            raise WatchError(f"the state of {name} has changed meanwhile")
        pipe.multi()
        pipe.delete(key)  # also what is of another form
        pipe.hset(key, mapping=wanted.fields())  # type: ignore[arg-type]  # of str keys, too narrowly typed
        pipe.execute()
    return wanted

"""Which version of a model is current: the one pointer in Redis that a model's bare name stands for.

Workers set it when none of those of the current version is alive; after that it moves on an operator's word only.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from redis.exceptions import RedisError, WatchError

from contract import keys
from contract.model_changes import Change, record
from contract.model_name import VERSION
from contract.model_version import ModelVersion
from contract.worker_registry import has_live_workers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from redis import Redis


log = logging.getLogger(__name__)

WHOLE = 100  # per cent
MOST_CHANGES = 10**15  # far above what there can be: a number without a bound could not be written any more


@dataclass(frozen=True, slots=True)
class ModelState:
    """What Redis holds of a model.

    Attributes:
        current: the version that its bare name means.
        previous: the version before that; None if there was none.
        generation: how often it has changed. Of two states the one that has changed more often is the later one, so
            after Redis has lost its data a worker that remembers more writes it back.
        candidate: the version that may become current; None if there is none.
        share: of requests that name no version, per cent that the candidate answers.
        shadow: of these requests, per cent that it computes as well, and never answers.
    """

    current: str
    previous: str | None
    generation: int
    candidate: str | None = None
    share: int = 0
    shadow: int = 0

    @classmethod
    def read(cls, fields: Mapping[bytes, bytes] | Exception) -> Self | None:
        """None if there is none, or what is there is not ours."""
        if isinstance(fields, Exception):
            return None
        try:
            text = {name.decode(): value.decode() for name, value in fields.items()}
            state = cls(
                text["current"],
                text.get("previous") or None,
                int(text["generation"]),
                text.get("candidate") or None,
                int(text.get("share", 0)),
                int(text.get("shadow", 0)),
            )
        except (KeyError, ValueError):
            return None
        return state if state._possible else None

    @property
    def _possible(self) -> bool:
        versions = [version for version in (self.current, self.previous, self.candidate) if version is not None]
        shares = 0 <= self.share <= WHOLE and 0 <= self.shadow <= WHOLE
        return all(map(VERSION.fullmatch, versions)) and shares and 0 <= self.generation < MOST_CHANGES

    def fields(self) -> dict[str, str | int]:
        return {name: value if value is not None else "" for name, value in asdict(self).items()}

    def with_current(self, version: str) -> ModelState:
        """This version in place of the current one, and no candidate if that was it."""
        stays = self.candidate if self.candidate != version else None
        return ModelState(
            version, self.current, self.generation + 1, stays, self.share if stays else 0, self.shadow if stays else 0
        )

    def with_candidate(self, version: str | None, share: int = 0, shadow: int = 0) -> ModelState:
        """This candidate, or none, and the same current version."""
        return replace(self, candidate=version, share=share, shadow=shadow, generation=self.generation + 1)


def read_state(redis: Redis, name: str) -> ModelState | None:
    """Raises RedisError: Redis does not answer."""
    fields: Any = redis.hgetall(keys.model(name))
    return ModelState.read(fields)


def claim(
    redis: Redis, model: ModelVersion, remembered: ModelState | None, *, served: Collection[str] = ()
) -> ModelState:
    """Say that a live worker's settings name this version, and which state it remembers.

    The pointer moves to it if the name has none, or no worker of the current version is alive; and to what is
    remembered if Redis knows of fewer moves, or of as many others.

    Args:
        served: the versions of this name that the worker itself serves. Who serves the current one is alive, however
            late on a stalled machine the heartbeats are.

    Returns:
        The state as it is now.

    Raises:
        RedisError: Redis does not answer.
    """
    state = read_state(redis, model.name)
    wanted = _wanted(redis, model, state, remembered, served)
    if wanted is None:
        assert state is not None  # noqa: S101  # without one there is something to write
        return state
    words = f"the current version is {wanted.current}, as workers remember or are told by their settings"
    with suppress(WatchError):
        return change(redis, model.name, state, wanted, Change(action="start", by="a worker", words=words))
    return read_state(redis, model.name) or wanted  # another worker was faster


def _wanted(
    redis: Redis,
    model: ModelVersion,
    state: ModelState | None,
    remembered: ModelState | None,
    served: Collection[str],
) -> ModelState | None:
    if remembered is not None and state != remembered:
        if state is None or state.generation < remembered.generation:
            return remembered
        if state.generation == remembered.generation:  # Redis had lost it, and somebody was faster
            return replace(remembered, generation=remembered.generation + 1)
    if state is None:
        return ModelState(model.version, None, 1)
    if state.current in {model.version, *served} or has_live_workers(redis, ModelVersion(model.name, state.current)):
        return None
    return state.with_current(model.version)


def change(redis: Redis, name: str, expected: ModelState | None, wanted: ModelState, why: Change) -> ModelState:
    """Compare and set, and record why: in the log if somebody has written something else into the history.

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
        record(pipe, name, why)
        *replies, recorded = pipe.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, RedisError):
            raise reply
    if isinstance(recorded, RedisError):  # too late to refuse the change: the rest of the MULTI is done
        log.error("not in the history of %s (%s): %s by %s: %s", name, recorded, why.action, why.by, why.words)
    return wanted

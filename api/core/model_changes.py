"""Changing which version of a model answers, while requests go on. No HTTP here.

Workers load a version beside those that they serve; only when all of them serve it does one compare-and-set move the
model's name to it. Nothing else ever moves.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import WatchError

from api.core.errors import ModelNotChanged, NoWorker, UnknownModel
from contract import loading, model_state, shadow, tallies
from contract.errors import BackendDown
from contract.loading import LOADED_WITHIN_S, LoadReply, LoadRequest
from contract.model_changes import Change, RecordedChange, latest
from contract.model_state import ModelState, read_state
from contract.model_task import ModelTask
from contract.model_version import ModelVersion
from contract.redis_clients import redis_errors
from contract.worker_registry import ALIVE_FOR_S, known_models, live_workers_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from redis import Redis

    from api.core.checks import Checks
    from api.core.live_workers import LiveWorkers
    from contract.worker_registry import WorkerEntry

log = logging.getLogger(__name__)

SHOWN_CHANGES = 50
LOOK_EVERY_S = 1.0  # at the registry, while workers load: some may die, and others start


@dataclass(frozen=True, slots=True)
class Moved:
    """What a model's name means now.

    Attributes:
        current: the version.
        digests: of its variants.
        before: what it meant before; None if that was the same.
        workers: how many serve it.
    """

    current: ModelVersion
    digests: tuple[str, ...]
    before: ModelVersion | None
    workers: int


@dataclass(frozen=True, slots=True)
class _Loaded:
    model: ModelVersion
    digests: tuple[str, ...]
    workers: int


class ModelChanges:
    """One per API process.

    Args:
        commands: a client for commands that return at once.
        checks: what is known of candidates.
        waiting: one whose socket timeout is longer than ``LOOK_EVERY_S``.
    """

    def __init__(self, commands: Redis, waiting: Redis, live_workers: LiveWorkers, checks: Checks) -> None:
        self._redis = commands
        self._waiting = waiting
        self._live_workers = live_workers
        self._checks = checks

    def reload(self, name: str | None, path: str | None, by: str, *, seen: int | None = None) -> Moved:
        """Have all live workers of a model load another version, and then move its name there.

        Args:
            name: of the model; None for the default.
            path: of the bundle, below the models' folder; None for the newest version there.
            by: the name of the key that asks.
            seen: the generation of the state that the operator has looked at; None if any will do.

        Raises:
            UnknownModel: no worker has ever served the name.
            ModelNotChanged: a worker refuses or does not answer, something else is being loaded, or somebody else was
                faster. Nothing has moved.
            NoWorker, BackendDown: not now.
        """
        name = name or self._live_workers.fleet().default().name
        state = self._unchanged(name, seen)
        with self._loaded(name, LoadRequest.new(path=path)) as loaded:
            return self._move(name, state, loaded, "reload", by)

    def rollback(self, name: str, by: str, *, seen: int | None = None) -> Moved:
        """Move a model's name back to the version before, at once if it is still served.

        Raises:
            UnknownModel, NoWorker, BackendDown: as ``reload``.
            ModelNotChanged: also if there was no version before.
        """
        state = self._unchanged(name, seen)
        if state.previous is None:
            raise ModelNotChanged(f"there is no version of {name} before {state.current} to go back to")
        with self._loaded(name, LoadRequest.new(version=state.previous)) as loaded:
            return self._move(name, state, loaded, "rollback", by)

    def set_candidate(
        self,
        name: str,
        *,
        version: str | None,
        path: str | None,
        share: int,
        shadow: int,
        by: str,
        seen: int | None = None,
    ) -> ModelState:
        """Have all live workers load a version, and give it a share of the pictures, or a shadow of them, or neither.

        Args:
            version, path: which, as ``LoadRequest`` takes them; neither for the candidate that there is.
            share, shadow: as in ``ModelState``.

        Raises:
            UnknownModel, NoWorker, BackendDown: as ``reload``.
            ModelNotChanged: also if that is the current version, or there is no candidate yet, or a detector is to have
                a shadow, whose answers can't be compared by their best label.
        """
        state = self._unchanged(name, seen)
        current = ModelVersion(name, state.current)
        if shadow and self._live_workers.fleet().task(current) != ModelTask.CLASSIFICATION:
            raise ModelNotChanged(
                f"{current} is no classifier: what a candidate of it finds beside can't be compared, so its shadow "
                "must be 0; check the candidate, or give it a share"
            )
        if version is None and path is None:
            version = state.candidate
        if version is None and path is None:
            raise ModelNotChanged(f"{name} has no candidate yet: say which version, or the path of its bundle")
        if version == state.current:
            raise ModelNotChanged(f"{name}@{version} is the current version, and can't be its own candidate")
        with self._loaded(name, LoadRequest.new(version=version, path=path)) as loaded:
            wanted = state.with_candidate(loaded.model.version, share, shadow)
            if wanted.candidate == state.current:
                raise ModelNotChanged(f"{loaded.model} is the current version, and can't be its own candidate")
            self._forget(loaded.model, current, compared=wanted.candidate != state.candidate)
            words = f"{loaded.model} is candidate: {share}% of the pictures, {shadow}% beside"
            return self._change(name, state, wanted, Change(action="candidate", by=by, words=words))

    def drop_candidate(self, name: str, by: str, *, seen: int | None = None) -> ModelState:
        """Let a model have no candidate any more.

        Raises:
            UnknownModel, NoWorker, BackendDown: as ``reload``.
            ModelNotChanged: it has none, or somebody else was faster.
        """
        state = self._unchanged(name, seen)
        if state.candidate is None:
            raise ModelNotChanged(f"{name} has no candidate")
        words = f"{name}@{state.candidate} is candidate no longer"
        return self._change(name, state, state.with_candidate(None), Change(action="candidate", by=by, words=words))

    def promote(self, name: str, by: str, *, force: str = "", seen: int | None = None) -> Moved:
        """Let a model's name mean its candidate, which has passed its check.

        Args:
            force: why it is to be so without a check that was passed.

        Raises:
            UnknownModel, NoWorker, BackendDown: as ``reload``.
            ModelNotChanged: also without a passed check of these two versions, or without a candidate.
        """
        state = self._unchanged(name, seen)
        if state.candidate is None:
            raise ModelNotChanged(f"{name} has no candidate")
        with self._loaded(name, LoadRequest.new(version=state.candidate)) as loaded:
            if not force:
                self._checks.demand_passed(loaded.model, loaded.digests, ModelVersion(name, state.current))
            return self._move(name, state, loaded, f"promote, forced: {force}" if force else "promote", by)

    def history(self, name: str) -> list[RecordedChange]:
        """The latest changes of a model, the latest first.

        Raises:
            BackendDown: Redis does not answer.
        """
        with redis_errors():
            return latest(self._redis, name, SHOWN_CHANGES)

    def _forget(self, candidate: ModelVersion, current: ModelVersion, *, compared: bool) -> None:
        """What failed before, so that the share is not lost again for it; and of another candidate also the comparison.

        Before the change: what is counted after it is of the new part.
        """
        with redis_errors(), self._redis.pipeline() as pipe:
            if compared:
                shadow.forget(pipe, candidate.key)
            tallies.forget(pipe, candidate.key, current.key)
            pipe.execute()

    def _unchanged(self, name: str, seen: int | None) -> ModelState:
        """Raises ModelNotChanged: it is not as the operator has seen it any more."""
        state = self.state(name)
        if seen is not None and state.generation != seen:
            raise ModelNotChanged(f"somebody else has changed {name} meanwhile; nothing was changed")
        return state

    def state(self, name: str) -> ModelState:
        """What there is of a model now.

        Raises:
            UnknownModel: no worker has ever served the name.
            NoWorker: none that can change its version is ready.
            BackendDown: Redis does not answer.
        """
        with redis_errors():
            versions = [model for model in known_models(self._redis) if ModelVersion.from_key(model).name == name]
            state = read_state(self._redis, name)
        if not versions:
            raise UnknownModel(f"there is no model {name}")
        if state is None:
            raise NoWorker(f"no worker of {name} that can change its version is ready", ALIVE_FOR_S)
        return state

    def _move(self, name: str, expected: ModelState, loaded: _Loaded, action: str, by: str) -> Moved:
        current, wanted = expected.current, loaded.model.version
        if wanted == current:
            return Moved(loaded.model, loaded.digests, None, loaded.workers)
        why = Change(action=action, by=by, words=f"from {current} to {wanted} ({', '.join(loaded.digests)})")
        self._change(name, expected, expected.with_current(wanted), why)
        log.info("%s: %s means %s now, and not %s", action, name, loaded.model, current)
        return Moved(loaded.model, loaded.digests, ModelVersion(name, current), loaded.workers)

    def _change(self, name: str, expected: ModelState, wanted: ModelState, why: Change) -> ModelState:
        try:
            with redis_errors():
                return model_state.change(self._redis, name, expected, wanted, why)
        except WatchError as error:
            raise ModelNotChanged(f"somebody else has changed {name} meanwhile; nothing was changed") from error

    @contextmanager
    def _loaded(self, name: str, request: LoadRequest) -> Iterator[_Loaded]:
        """While the context lasts, all live workers of ``name`` serve what was asked for, and nothing else is loaded.

        What all of them serve already is there at once.

        Raises:
            ModelNotChanged: one does not, or something is being loaded already.
            NoWorker: none is alive.
            BackendDown: Redis does not answer.
        """
        with redis_errors():
            begun = loading.begin(self._redis, name, request)
        if not begun:
            raise ModelNotChanged(f"another version of {name} is being loaded already; nothing was changed")
        try:
            yield self._served_by_all(name, request) or self._wait(name, request)
        finally:
            with suppress(BackendDown), redis_errors():
                loading.end(self._redis, name, request)

    def _served_by_all(self, name: str, request: LoadRequest) -> _Loaded | None:
        """By the registry, from which no worker takes a version while something is asked for.

        None also for a path, of which only workers know whether it holds that version.
        """
        if request.version is None or request.path is not None:
            return None
        model, entries = ModelVersion(name, request.version), self._live(name)
        serving = [entry for entry in entries if entry.model == model.key]
        if not serving or {entry.worker_id for entry in serving} < {entry.worker_id for entry in entries}:
            return None
        return _Loaded(model, tuple(sorted({entry.digest for entry in serving})), len(serving))

    def _wait(self, name: str, request: LoadRequest) -> _Loaded:
        replies: dict[str, LoadReply] = {}
        deadline = time.monotonic() + LOADED_WITHIN_S
        while missing := self._awaited(name, request, replies):
            if time.monotonic() > deadline:
                hosts = ", ".join(sorted(missing.values()))
                raise ModelNotChanged(f"no answer within {LOADED_WITHIN_S} s from {hosts}; nothing was changed")
            with redis_errors():
                told = loading.next_reply(self._waiting, request, LOOK_EVERY_S)
            if told is not None and told.refused:
                raise ModelNotChanged(
                    f"worker {told.worker_id} on {told.host} refuses: {told.refused}; nothing was changed"
                )
            if told is not None:
                replies[told.worker_id] = told
        return _agreed(list(replies.values()))

    def _awaited(self, name: str, request: LoadRequest, replies: Collection[str]) -> dict[str, str]:
        """The hosts of the live workers of any version of ``name`` that have not answered, by worker."""
        with redis_errors():
            stands = loading.current(self._redis, name) == request
        if not stands:
            raise ModelNotChanged("Redis has lost what workers were asked to load; nothing was changed")
        entries = self._live(name)
        if not entries:
            raise NoWorker(f"no worker of {name} is ready", ALIVE_FOR_S)
        return {entry.worker_id: entry.host for entry in entries if entry.worker_id not in replies}

    def _live(self, name: str) -> list[WorkerEntry]:
        with redis_errors():
            models = [key for key in known_models(self._redis) if ModelVersion.from_key(key).name == name]
            return live_workers_of(self._redis, models)


def _agreed(replies: Collection[LoadReply]) -> _Loaded:
    """Raises ModelNotChanged: they have not all loaded the same version, of variants that differ in precision only."""
    models = sorted({told.model for told in replies})
    variants = {(told.precision, told.digest) for told in replies}
    if len(models) > 1:
        found = ", ".join(str(ModelVersion.from_key(model)) for model in models)
        raise ModelNotChanged(f"workers have found different versions ({found}): do they see the same folder?")
    if len({told.interface for told in replies}) > 1 or len({kind for kind, _ in variants}) < len(variants):
        raise ModelNotChanged(
            f"workers have found different weights, labels or preprocessing as {ModelVersion.from_key(models[0])}: "
            "do they see the same folder?"
        )
    digests = tuple(sorted({told.digest for told in replies}))
    return _Loaded(ModelVersion.from_key(models[0]), digests, len(replies))

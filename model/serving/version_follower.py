"""Following which versions of its models a worker is to serve: loading them beside the others, and unloading them.

All of it happens beside the work: what is loaded is handed to the worker between two batches.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Protocol

from redis.exceptions import WatchError
from rq import Queue

from contract import loading
from contract.job_queue import SERIALIZER, async_queue_name, bulk_async_queue_name, bulk_queue_name, queue_name
from contract.loading import LoadReply, LoadRequest
from contract.model_version import ModelVersion
from contract.worker_registry import forget, known_models, without_workers
from model.errors import ModelError
from model.serving.farewell import without_places

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from redis import Redis

    from contract.model_state import ModelState
    from model.opening import AnyPredictor
    from model.serving.registration import Registration

log = logging.getLogger(__name__)

EMPTY_FOR_S = 5.0  # that a version's queues have to be before requests are told of other workers only
LINGER_S = 10.0  # beyond that: longer than an API process goes by what it has read of the registry
ORPHANS_EVERY_S = 10.0
MOST_UNSERVED = 10  # versions of a model that answer 503, and not 404 as those that nobody has heard of
ANSWERED_KEPT = 100  # requests, to know them again while they stand
TRY_AGAIN_AFTER_S = 30.0  # to load what is current, if that failed


class Loader(Protocol):
    """As ``model.loader.BundleLoader``."""

    def load(self, name: str, *, version: str | None = None, path: str | None = None) -> AnyPredictor:
        """Raises ModelError."""


class Serving(Protocol):
    """The worker, as far as its versions can be changed. Both calls only note what is to happen between two batches."""

    @property
    def predictors(self) -> Mapping[str, AnyPredictor]:
        """Those that it serves now, by ``ModelVersion.key``."""

    def serve_too(self, predictor: AnyPredictor) -> None:
        """Serve one more version."""

    def serve_no_more(self, model: str) -> None:
        """Take from this version's queues no more, and unload it."""

    def queues(self, model: str) -> Collection[Queue]:
        """Those of a version that it serves."""


@dataclass(slots=True)
class _Load:
    """What is being loaded, or was; ``predictor`` or ``refused`` is set at its end."""

    name: str
    request: LoadRequest
    begun_at: float = field(default_factory=time.monotonic)
    predictor: AnyPredictor | None = None
    refused: str = ""

    @property
    def ended(self) -> bool:
        return self.predictor is not None or bool(self.refused)


class VersionFollower:
    """``beat`` is to be called after each heartbeat of the registration, in its thread.

    Args:
        pinned: versions that are served whatever is current: those that settings name beside the first of their model.
        worker_id, host: of the replies.
    """

    def __init__(
        self,
        redis: Redis,
        loader: Loader,
        serving: Serving,
        registration: Registration,
        *,
        pinned: Collection[ModelVersion],
        worker_id: str,
        host: str,
    ) -> None:
        self._redis = redis
        self._loader = loader
        self._serving = serving
        self._registration = registration
        self._pinned = frozenset(pinned)
        self._worker_id, self._host = worker_id, host
        self._load: _Load | None = None
        self._answered: deque[str] = deque(maxlen=ANSWERED_KEPT)
        self._try_again_at = 0.0
        self._look_for_orphans_at: dict[str, float] = {}
        self._empty_since: dict[str, float] = {}
        self._withdrawn_at: dict[str, float] = {}
        self._leaving: set[str] = set()

    def beat(self) -> None:
        """Look what is asked for, tell what has come of it, and unload what nobody needs any more.

        Raises:
            RedisError: Redis does not answer.
        """
        self._leaving &= set(self._serving.predictors)
        for name, state in self._registration.states.items():
            request = loading.current(self._redis, name)
            self._tell()
            if self._load is None and not self._leaving:
                self._begin_if_wanted(name, state, request)
            if request is not None:
                self._refuse_if_hanging(request)
            if request is None and self._load is None:
                self._retire(name, state)

    def _begin_if_wanted(self, name: str, state: ModelState, request: LoadRequest | None) -> None:
        if request is not None and request.id not in self._answered:
            self._begin(name, request)
            return
        wanted = [ModelVersion(name, version) for version in (state.current, state.candidate) if version is not None]
        wanted += self._orphans(name)
        missing = [model for model in wanted if model.key not in self._serving.predictors]
        if missing and time.monotonic() >= self._try_again_at:
            self._try_again_at = time.monotonic() + TRY_AGAIN_AFTER_S
            log.info("%s has work, or is current, and is not served here: loading it", missing[0])
            self._begin(name, LoadRequest.new(version=missing[0].version))

    def _refuse_if_hanging(self, request: LoadRequest) -> None:
        """Say so at once if a version that was asked for before is being loaded for ever."""
        load = self._load
        if load is None or load.request == request or request.id in self._answered:
            return
        if time.monotonic() - load.begun_at > loading.LOADED_WITHIN_S:
            self._reply(request, self._refusal(f"it has been loading another version of {load.name} for too long"))

    def _orphans(self, name: str) -> list[ModelVersion]:
        """Versions with jobs that no worker is left to compute, as when all have died while one was worked off."""
        now = time.monotonic()
        if now < self._look_for_orphans_at.get(name, now):
            return []
        self._look_for_orphans_at[name] = now + ORPHANS_EVERY_S
        return [model for model in self._unserved(name) if self._is_busy(self._queues_of(model))]

    def _unserved(self, name: str) -> list[ModelVersion]:
        known = [ModelVersion.from_key(key) for key in known_models(self._redis)]
        return without_workers(self._redis, [model for model in known if model.name == name])

    def _forget_unserved(self, name: str, state: ModelState) -> None:
        """Versions come and go: those that are served have to stay among the few that everybody looks for."""
        kept = {state.current, state.previous, state.candidate}
        unserved = [model for model in self._unserved(name) if model.version not in kept]
        if len(unserved) > MOST_UNSERVED:
            forget(self._redis, [model.key for model in unserved if not self._is_busy(self._queues_of(model))])

    def _queues_of(self, model: ModelVersion) -> list[Queue]:
        """Of a version that is not served here; nobody waits for copies that are made so late."""
        names = (queue_name, bulk_queue_name, async_queue_name, bulk_async_queue_name)
        return [Queue(name(model.key), connection=self._redis, serializer=SERIALIZER) for name in names]

    def _begin(self, name: str, request: LoadRequest) -> None:
        self._load = _Load(name, request)
        if request.path is None and request.version is not None:
            self._load.predictor = self._serving.predictors.get(ModelVersion(name, request.version).key)
        if self._load.predictor is None:
            Thread(target=self._run, args=(self._load,), name="load", daemon=True).start()

    def _run(self, load: _Load) -> None:
        try:
            predictor = self._loader.load(load.name, version=load.request.version, path=load.request.path)
            self._check(predictor)
        except ModelError as error:
            load.refused = without_places(str(error), [])
        except MemoryError:
            load.refused = "there is no memory for it"
        except Exception:
            log.exception("a version of %s could not be loaded", load.name)
            load.refused = "it could not be loaded; the worker's log says why"
        else:
            if predictor.bundle.model.key not in self._serving.predictors:
                self._serving.serve_too(predictor)
            load.predictor = predictor

    def _check(self, predictor: AnyPredictor) -> None:
        """Raises ModelError: this worker serves something else under the same version, or for another task."""
        bundle = predictor.bundle
        others = [one.bundle for one in self._serving.predictors.values() if one.bundle.name == bundle.name]
        other = next((one for one in others if one.task != bundle.task), None)
        if other is not None:
            raise ModelError(
                f"{bundle.model} is for {bundle.task}, and {other.model} for {other.task}: it needs another name"
            )
        served = self._serving.predictors.get(bundle.model.key)
        if served is not None and served.bundle.digest != bundle.digest:
            raise ModelError(
                f"{bundle.model} is served already with other weights, labels or preprocessing: "
                "a changed model needs another version"
            )

    def _tell(self) -> None:
        """Once the version is registered, or refused, whoever has asked for it is told."""
        load = self._load
        if load is None or not load.ended:
            return
        if load.predictor is not None:
            self._keep(load.predictor.bundle.model.key)
        if load.predictor is None:
            log.warning("a version of %s is not served: %s", load.name, load.refused)
            told = self._refusal(load.refused)
        elif self._registration.is_registered(load.predictor.bundle.model.key):
            bundle = load.predictor.bundle
            told = LoadReply(
                worker_id=self._worker_id,
                host=self._host,
                model=bundle.model.key,
                digest=bundle.digest,
                precision=bundle.precision,
                interface=bundle.interface,
            )
        else:
            return
        self._reply(load.request, told)
        self._load = None

    def _reply(self, request: LoadRequest, told: LoadReply) -> None:
        loading.reply(self._redis, request, told)
        self._answered.append(request.id)

    def _refusal(self, reason: str) -> LoadReply:
        return LoadReply(worker_id=self._worker_id, host=self._host, refused=reason)

    def _keep(self, model: str) -> None:
        """Register it again with the next heartbeat if it was about to be unloaded."""
        self._empty_since.pop(model, None)
        if self._withdrawn_at.pop(model, None) is not None:
            self._registration.restore(model)

    def _retire(self, name: str, state: ModelState) -> None:
        """Unload what is neither current, nor candidate, nor pinned, once its queues have been worked off.

        First no request is sent here any more; those that are on their way are still answered. A worker that could not
        load what is current goes on serving what it has.
        """
        if ModelVersion(name, state.current).key not in self._serving.predictors:
            return
        kept = {ModelVersion(name, version) for version in (state.current, state.candidate) if version is not None}
        now = time.monotonic()
        served = set(self._serving.predictors) - self._leaving
        for model in [key for key in served if ModelVersion.from_key(key).name == name]:
            if ModelVersion.from_key(model) in kept | self._pinned or self._is_busy(self._serving.queues(model)):
                self._keep(model)
            elif now - self._empty_since.setdefault(model, now) >= EMPTY_FOR_S:
                if model not in self._withdrawn_at:
                    self._withdraw(model, state, now)
                elif now - self._withdrawn_at[model] >= LINGER_S:
                    del self._withdrawn_at[model], self._empty_since[model]
                    self._registration.forget(model)
                    self._leaving.add(model)
                    self._serving.serve_no_more(model)
                    self._forget_unserved(name, state)

    def _withdraw(self, model: str, state: ModelState, now: float) -> None:
        try:
            self._registration.withdraw(model, state)
        except WatchError:
            self._keep(model)  # it may be needed again: the next beats will tell
        else:
            self._withdrawn_at[model] = now

    def _is_busy(self, queues: Iterable[Queue]) -> bool:
        """Whether anything waits on a version's queues, or is in any worker's hand."""
        with self._redis.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.llen(queue.key)
                pipe.llen(queue.intermediate_queue_key)
                pipe.zcard(queue.started_job_registry.key)
            return any(pipe.execute())

"""The models and their live workers, read from the worker registry at most once a second."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean
from threading import Condition
from typing import TYPE_CHECKING

from api.core.errors import NoWorker, OtherTask, UnknownModel, without_frames
from contract import last_words, worker_registry
from contract.decoding_cost import bounded
from contract.errors import BackendDown
from contract.model_task import ModelTask
from contract.model_version import ModelVersion
from contract.redis_clients import redis_errors
from contract.redis_memory import RedisMemory, read_redis_memory
from contract.registry_reader import read_registry
from contract.send_too import nothing
from contract.worker_registry import ALIVE_FOR_S, WorkerEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from redis import Redis

    from contract.decoding_cost import DecodingCost
    from contract.job_queue import JobQueue
    from contract.model_state import ModelState
    from contract.model_version import WantedModel
    from contract.send_too import SendToo

HELD_FOR_S = 1.0
STALE_FOR_S = 3.0  # a pool may be this old while it is being read again: in a burst of requests that takes a while
LOOK_WITHIN_S = 5.0
NONE_READY = "no worker is ready"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another version's pool, without neighbours of its own; ``share`` of its workers serve this one too."""

    pool: WorkerPool
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPool:
    """The live workers of one version of a model, at least one, as they were at ``seen_at`` (by ``time.monotonic``).

    Attributes:
        model: ``ModelVersion.key``.
        memory: that of Redis.
        queued, bulk_queued: the lengths of the requests' queue and of their bulk queue at ``seen_at``.
        bulk_share: of the workers that serve the bulk queues, and of their time while others wait.
        neighbours: what else some of these workers serve.
    """

    model: str
    digest: str
    workers: tuple[WorkerEntry, ...]
    memory: RedisMemory
    queued: int
    bulk_queued: int = 0
    bulk_share: float = 0.5
    neighbours: tuple[Neighbour, ...] = ()
    seen_at: float

    @property
    def version(self) -> ModelVersion:
        return ModelVersion.from_key(self.model)

    @property
    def wake(self) -> frozenset[str]:
        """The lists on which idle ones of these workers wait, beside the queue itself."""
        return frozenset(worker.wake for worker in self.workers if worker.wake)

    @property
    def mean_service_s(self) -> float:
        """A worker's time per picture, in seconds; 0 before any has served one.

        The harmonic mean: of unequal workers the faster one computes more of the pictures. A worker that has just
        started and served none counts like the others, not as infinitely fast.
        """
        known = [worker.service_ms for worker in self.workers if worker.service_ms > 0]
        return len(known) / sum(1 / ms for ms in known) / 1000 if known else 0.0

    @property
    def bulk_workers(self) -> int:
        """How many workers take costly pictures at a time; 0 if none knows the bulk queue, as during an upgrade."""
        known = sum(worker.bulk_ms is not None for worker in self.workers)
        return worker_registry.most_bulk_workers(known, self.bulk_share) if known else 0

    @property
    def makes_copies(self) -> bool:
        """Whether any of them makes copies of pictures to show; none does that is older than this API."""
        return any(worker.makes_copies for worker in self.workers)

    @property
    def draws(self) -> bool:
        """Whether drawn pictures can be asked for.

        Jobs for them are on the queue of those for copies, and a worker that knows these only would refuse them.
        """
        return self.makes_copies and all(worker.draws for worker in self.workers if worker.makes_copies)

    @property
    def mean_bulk_s(self) -> float:
        """A worker's time per job of the bulk queue, in seconds; 0 before any has served one."""
        measured = [worker.bulk_ms for worker in self.workers if worker.bulk_ms]
        return fmean(measured) / 1000 if measured else 0.0

    def decoding_s(self, cost: DecodingCost) -> float:
        """What decoding a picture is expected to take a worker, in seconds, by what they have learned."""
        learned = [worker.cost_factors[cost.kind] for worker in self.workers if cost.kind in worker.cost_factors]
        return cost.ms / 1000 * (bounded(fmean(learned)) if learned else 1.0)


@dataclass(frozen=True)
class Fleet:
    """All versions that workers have registered, and who serves them; see ``LiveWorkers``.

    Attributes:
        versions: the latest registered first, whether or not any of its workers is alive.
        states: what Redis holds of models, by name.
        pools: by ``ModelVersion.key``; of versions with live workers only.
        default_model: the name that requests without one mean, if that model is for their task; otherwise, or if it is
            "", they mean the newest for it whose current version is served.
        tasks: what each is for, by ``ModelVersion.key``; one that is not there is a classifier.
    """

    versions: tuple[ModelVersion, ...]
    states: Mapping[str, ModelState]
    pools: Mapping[str, WorkerPool]
    memory: RedisMemory
    default_model: str = ""
    tasks: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(version.name for version in self.versions))

    def current(self, name: str) -> ModelVersion:
        """The version that a bare name means: as Redis says, or as workers that are older than that, the newest.

        Raises:
            UnknownModel: no worker has ever registered the name.
        """
        known = [version for version in self.versions if version.name == name]
        if not known:
            raise UnknownModel(f"there is no model {name}; {self._told_names()}")
        if name in self.states:
            return ModelVersion(name, self.states[name].current)
        return next((version for version in known if version.key in self.pools), known[0])

    def task(self, version: ModelVersion) -> str:
        """What a version is for; a newer worker may serve what no ``ModelTask`` names."""
        return self.tasks.get(version.key, ModelTask.CLASSIFICATION)

    def default(self, task: ModelTask | None = None) -> ModelVersion:
        """What a request means that names no model.

        Args:
            task: of the request; None if any will do: classification, or another if no model is for that.

        Raises:
            UnknownModel: there are models, but none is for ``task``.
            NoWorker: no worker has registered it yet.
        """
        if self.default_model and self.default_model not in self.names and task is not ModelTask.DETECTION:
            raise NoWorker(f"no worker of {self.default_model}, the default model, has been ready yet", ALIVE_FOR_S)
        found = next((self._defaults[one] for one in ([task] if task else ModelTask) if one in self._defaults), None)
        if found is not None:
            return found
        if task is not None and self.versions:
            raise UnknownModel(f"there is no model for {task}; {self._told_names()}")
        raise NoWorker(NONE_READY, ALIVE_FOR_S)

    @cached_property
    def _defaults(self) -> dict[str, ModelVersion]:
        """By task."""
        found: dict[str, ModelVersion] = {}
        newest_first = [self.current(name) for name in self.names]
        chosen = [version for version in newest_first if version.name == self.default_model]
        served = [version for version in newest_first if version.key in self.pools]
        for version in [*chosen, *served, *newest_first]:
            found.setdefault(self.task(version), version)
        return found

    def wanted(self, model: WantedModel | None, task: ModelTask | None = None) -> ModelVersion:
        """The version that a request means.

        Args:
            task: of the request; None if any will do.

        Raises:
            UnknownModel: no worker has ever registered it, or any for the task.
            OtherTask: it is for another one.
            NoWorker: as ``default``.
        """
        if model is None:
            return self.default(task)
        version = self._named(model)
        if task is not None and self.task(version) != task:
            raise OtherTask(
                f"{version} is for {self.task(version)}, and not for {task}: for that {self._told_names(task)}"
            )
        return version

    def served_default(self) -> ModelVersion:
        """What is for any task: the default or, where nobody is alive who serves it, that of a task that is served.

        A service that once had a classifier, and now has a detector alone, is ready. What the operator names
        (``default_model``) is never stood in for.

        Raises:
            UnknownModel, NoWorker: as ``default``.
        """
        default = self.default()
        if default.name == self.default_model:
            return default
        all_defaults = [self._defaults[task] for task in ModelTask if task in self._defaults]
        return next((version for version in all_defaults if version.key in self.pools), default)

    def _named(self, model: WantedModel) -> ModelVersion:
        if model.version is None:
            return self.current(model.name)
        version = ModelVersion(model.name, model.version)
        if version not in self.versions:
            raise UnknownModel(f"there is no model {version}; {self._told_names()}")
        return version

    def pool(self, version: ModelVersion) -> WorkerPool:
        """Raises NoWorker: none of this version is alive."""
        if version.key not in self.pools:
            raise NoWorker(f"no worker of {version} is ready" if self.pools else NONE_READY, ALIVE_FOR_S)
        return self.pools[version.key]

    def _told_names(self, task: ModelTask | None = None) -> str:
        """Of those that are served, for ``task`` or any."""
        served = [version for version in self.versions if version.key in self.pools]
        names = sorted({str(version) for version in served if task in {None, self.task(version)}})
        if names:
            return f"there are {', '.join(names)}"
        return "there is no model" if served else NONE_READY


@dataclass(frozen=True, slots=True)
class Destination:
    """The model whose queue takes async jobs; ``pool`` is None while none of its workers is alive."""

    model: str
    task: str
    memory: RedisMemory
    pool: WorkerPool | None

    @property
    def version(self) -> ModelVersion:
        return ModelVersion.from_key(self.model)


class LiveWorkers:
    """The fleet, at most ``HELD_FOR_S`` old (``STALE_FOR_S`` while it is being read again).

    Args:
        default_model: as in ``Fleet``.

    Attributes:
        send_too: adds what goes along when the registry is read.
    """

    def __init__(self, redis: Redis, queue: JobQueue, *, bulk_share: float = 0.5, default_model: str = "") -> None:
        self._redis = redis
        self._bulk_share = bulk_share
        self._default_model = default_model
        self._queue = queue
        self._look_ended = Condition()
        self._looking = False
        self._fleet: Fleet | None = None
        self._failure: BackendDown | None = None
        self._looked_at = float("-inf")
        self.send_too: SendToo = nothing

    def fleet(self) -> Fleet:
        """All models and workers that a request can rely on.

        While one request reads the registry, others use what was read before or, if that is too old, wait for it, at
        most ``LOOK_WITHIN_S`` seconds. A failed look fails all requests for a second, so that they don't hang one after
        the other on a Redis that hangs.

        Raises:
            BackendDown: Redis does not answer.
        """
        if self._is_due():
            self._look_or_wait()
        if self._failure is not None:
            raise BackendDown(str(self._failure), cause=self._failure.cause)
        assert self._fleet is not None  # noqa: S101  # a look ends with it or with a failure
        return self._fleet

    def fleet_now(self) -> Fleet:
        """The same as Redis has it now, for who has just changed it.

        Raises:
            BackendDown: Redis does not answer.
        """
        with redis_errors():
            registered = read_registry(self._redis, self.send_too)
            memory = read_redis_memory(self._redis)
        return Fleet(
            tuple(ModelVersion.from_key(model) for model in registered.models),
            registered.states,
            self._pools(registered.workers, memory),
            memory,
            self._default_model,
            registered.tasks,
        )

    def pool(self, model: WantedModel | None = None, task: ModelTask | None = None) -> WorkerPool:
        """The workers of the version that a request means.

        Args:
            task: of the request; None if any will do.

        Raises:
            UnknownModel, OtherTask: as ``Fleet.wanted``.
            NoWorker: none of them is alive.
            BackendDown: Redis does not answer.
        """
        fleet = self.fleet()
        return fleet.pool(fleet.wanted(model, task))

    def default_pool(self) -> WorkerPool:
        """The workers of ``Fleet.served_default``.

        Raises:
            UnknownModel, NoWorker, BackendDown: as ``pool``.
        """
        fleet = self.fleet()
        return fleet.pool(fleet.served_default())

    def why_none(self) -> str | None:
        """What the last worker that could not begin has left to say, if there was one lately.

        Raises:
            BackendDown: Redis does not answer.
        """
        with redis_errors():
            return last_words.read(self._redis)

    def destination(self, model: WantedModel | None = None, task: ModelTask | None = None) -> Destination:
        """Where to queue an async job, whether or not a worker is there for it now.

        Args:
            task: of the job; None if any will do.

        Raises:
            UnknownModel, OtherTask: as ``Fleet.wanted``.
            NoWorker: no worker of any model was ever registered.
            BackendDown: Redis does not answer.
        """
        fleet = self.fleet()
        version = fleet.wanted(model, task)
        return Destination(version.key, fleet.task(version), fleet.memory, fleet.pools.get(version.key))

    def _look_or_wait(self) -> None:
        """The end of one look wakes all who wait: handing on a lock took a burst of 1,000 requests seconds."""
        with self._look_ended:
            if self._looking:
                served = self._fleet is not None and self._fleet.pools
                if served and time.monotonic() - self._looked_at < STALE_FOR_S:
                    return
                if not self._look_ended.wait_for(lambda: not self._looking, LOOK_WITHIN_S):
                    raise BackendDown("Redis does not answer")
                return
            self._looking = True
        try:
            self._look()
        finally:
            with self._look_ended:
                self._looking = False
                self._look_ended.notify_all()

    def _is_due(self) -> bool:
        # An empty registry is not held for long: every process sees the first worker at once.
        empty = self._failure is None and (self._fleet is None or not self._fleet.pools)
        return empty or time.monotonic() - self._looked_at > HELD_FOR_S

    def _look(self) -> None:
        fleet, failure = None, None
        try:
            fleet = self.fleet_now()
        except BackendDown as error:
            failure = without_frames(error)
        self._fleet, self._failure = fleet, failure
        self._looked_at = time.monotonic()

    def _pools(self, workers: Sequence[WorkerEntry], memory: RedisMemory) -> dict[str, WorkerPool]:
        """Pools by model, each with its neighbours."""
        of_model: dict[str, list[WorkerEntry]] = {}
        for worker in workers:
            of_model.setdefault(worker.model, []).append(worker)
        seen_at = time.monotonic()
        pools = {
            model: WorkerPool(
                model=model,
                digest=max(entry.digest for entry in entries),
                workers=tuple(entries),
                memory=memory,
                queued=depth.requests,
                bulk_queued=depth.bulk,
                bulk_share=self._bulk_share,
                seen_at=seen_at,
            )
            for (model, entries), depth in zip(of_model.items(), self._queue.depths(list(of_model)), strict=True)
        }
        return {model: replace(pool, neighbours=_neighbours(pool, pools.values())) for model, pool in pools.items()}


def _neighbours(pool: WorkerPool, pools: Iterable[WorkerPool]) -> tuple[Neighbour, ...]:
    ours = {worker.worker_id for worker in pool.workers}
    shares = (
        (other, sum(worker.worker_id in ours for worker in other.workers) / len(other.workers))
        for other in pools
        if other.model != pool.model
    )
    return tuple(Neighbour(other, share) for other, share in shares if share)

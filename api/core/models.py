"""What models there are, and how each of their versions is, for whoever chooses or watches over them. No HTTP here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.core.errors import NoWorker, UnknownModel
from contract.model_description import read_descriptions
from contract.model_task import ModelTask
from contract.model_version import ModelVersion
from contract.redis_clients import redis_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

    from api.core.live_workers import Fleet, LiveWorkers, WorkerPool
    from contract.job_queue import Depth, JobQueue
    from contract.model_description import ModelDescription
    from contract.model_state import ModelState


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionStatus:
    """One version.

    Attributes:
        role: "current", "candidate", "previous", or "served" for one that callers reach by its version only.
        digests: of the variants that live workers serve, each with its precision ("" if no worker has said it).
        description: what its bundle says; None if no worker has said it lately.
        workers: how many serve it now.
        queued, bulk_queued, async_queued: how many jobs wait: of requests, of those with costly pictures, of
            ``/v1/jobs``.
        mean_service_ms: a worker's time a picture; 0 before any has served one.
    """

    version: ModelVersion
    role: str
    digests: dict[str, str]
    description: ModelDescription | None
    workers: int
    queued: int
    bulk_queued: int
    async_queued: int
    mean_service_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One model; ``default`` says whether requests for its task mean it that name none.

    Of older workers there is no ``state``.
    """

    name: str
    default: bool
    current: ModelVersion
    state: ModelState | None
    versions: tuple[VersionStatus, ...]


@dataclass(frozen=True, slots=True)
class ModelNames:
    """All names, in alphabetical order, and the one that requests mean which name none.

    ``detectors`` are those among them whose models answer with objects.
    """

    all: list[str]
    default: str | None
    detectors: frozenset[str] = frozenset()


class Models:
    """One per API process."""

    def __init__(self, redis: Redis, queue: JobQueue, live_workers: LiveWorkers) -> None:
        self._redis = redis
        self._queue = queue
        self._live_workers = live_workers

    def all(self) -> list[ModelStatus]:
        """Every model with a live worker, by name.

        Raises:
            BackendDown: Redis does not answer.
        """
        fleet = self._live_workers.fleet()
        return self._status(fleet, _served(fleet))

    def registered(self) -> list[ModelStatus]:
        """Every model that a worker has registered, as Redis has it now: the default first, and the others by name.

        Raises:
            BackendDown: Redis does not answer.
        """
        fleet = self._live_workers.fleet_now()
        return sorted(self._status(fleet, sorted(fleet.names)), key=lambda status: not status.default)

    def of(self, name: str) -> ModelStatus:
        """One model, whether or not any of its workers is alive.

        Raises:
            UnknownModel: no worker has ever served it.
            BackendDown: Redis does not answer.
        """
        fleet = self._live_workers.fleet()
        fleet.current(name)
        (status,) = self._status(fleet, [name])
        return status

    def names(self) -> ModelNames:
        """Those of all models with a live worker that answer with labels or objects.

        Raises:
            BackendDown: Redis does not answer.
        """
        fleet = self._live_workers.fleet()
        tasks = {name: fleet.task(fleet.current(name)) for name in _served(fleet)}
        known = [name for name, task in tasks.items() if task in set(ModelTask)]
        detectors = frozenset(name for name in known if tasks[name] == ModelTask.DETECTION)
        return ModelNames(known, _default_name(fleet), detectors)

    def _status(self, fleet: Fleet, names: list[str]) -> list[ModelStatus]:
        """Three round trips, however many models there are."""
        shown = {name: _shown(fleet, name) for name in names}
        keys = [version.key for versions in shown.values() for version in versions]
        served = [(key, digest) for key in keys if key in fleet.pools for digest in _digests(fleet.pools[key])]
        with redis_errors():
            said = read_descriptions(self._redis, served)
        about: dict[str, dict[str, ModelDescription | None]] = {key: {} for key in keys}
        for (key, digest), description in zip(served, said, strict=True):
            about[key][digest] = description
        depths = dict(zip(keys, self._queue.depths(keys), strict=True))
        async_depths = dict(zip(keys, self._queue.async_depths(keys), strict=True))
        defaults = {_default_name(fleet, task) for task in ModelTask}
        return [
            ModelStatus(
                name=name,
                default=name in defaults,
                current=fleet.current(name),
                state=fleet.states.get(name),
                versions=tuple(
                    _version(fleet, version, about[version.key], depths[version.key], async_depths[version.key])
                    for version in shown[name]
                ),
            )
            for name in names
        ]


def _version(
    fleet: Fleet,
    version: ModelVersion,
    about: Mapping[str, ModelDescription | None],
    depth: Depth,
    async_queued: int,
) -> VersionStatus:
    pool = fleet.pools.get(version.key)
    return VersionStatus(
        version=version,
        role=_role(fleet, version),
        digests={digest: one.precision if one is not None else "" for digest, one in about.items()},
        description=next((one for one in about.values() if one is not None), None),
        workers=len(pool.workers) if pool is not None else 0,
        queued=depth.requests,
        bulk_queued=depth.bulk,
        async_queued=async_queued,
        mean_service_ms=round(pool.mean_service_s * 1000, 1) if pool is not None else 0.0,
    )


def _digests(pool: WorkerPool) -> list[str]:
    return sorted({worker.digest for worker in pool.workers})


def _served(fleet: Fleet) -> list[str]:
    return sorted({pool.version.name for pool in fleet.pools.values()})


def _default_name(fleet: Fleet, task: ModelTask | None = None) -> str | None:
    try:
        return fleet.default(task).name
    except (NoWorker, UnknownModel):
        return None


def _shown(fleet: Fleet, name: str) -> list[ModelVersion]:
    """The current version first; of the others those that are served, or that something points at."""
    current, state = fleet.current(name), fleet.states.get(name)
    pointed = [] if state is None else [state.candidate, state.previous]
    wanted = [current, *(ModelVersion(name, version) for version in pointed if version is not None)]
    wanted += [version for version in fleet.versions if version.name == name and version.key in fleet.pools]
    return list(dict.fromkeys(wanted))


def _role(fleet: Fleet, version: ModelVersion) -> str:
    state = fleet.states.get(version.name)
    if version == fleet.current(version.name):
        return "current"
    if state is not None and version.version == state.candidate:
        return "candidate"
    return "previous" if state is not None and version.version == state.previous else "served"

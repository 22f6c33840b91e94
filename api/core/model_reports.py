"""What there is to know of the models, for the operator: as Redis has it now, in a few round trips. No HTTP here."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from api.core.errors import NoWorker, UnknownModel
from contract import checks, keys, model_changes, shadow, tallies
from contract.checks import Check
from contract.job_queue import async_queue_name, bulk_async_queue_name, bulk_queue_name, queue_name
from contract.model_version import ModelVersion
from contract.redis_clients import raise_refusals, redis_errors
from contract.registry_reader import read_registry
from contract.shadow import Comparison
from contract.tallies import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis import Redis
    from redis.client import Pipeline

    from api.core.live_workers import LiveWorkers
    from contract.model_changes import RecordedChange
    from contract.model_state import ModelState
    from contract.registry_reader import Registry
    from contract.worker_registry import WorkerEntry

SHOWN_CHANGES = 50
QUEUES = (queue_name, bulk_queue_name, async_queue_name, bulk_async_queue_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionReport:
    """One version that is served, or that a model's name means, may mean, or has meant.

    Attributes:
        digests: of its variants that are served.
        workers: how many live ones serve it.
        requests, jobs: how many pictures wait for it: of requests, and of async jobs, shadows and checks.
        service_ms: mean time of a worker for a picture; 0 until it has served one.
        tally: its latest computations; None while the model has no candidate, or another one.
    """

    version: ModelVersion
    digests: tuple[str, ...]
    workers: int
    requests: int
    jobs: int
    service_ms: float
    tally: Tally | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """One model.

    Attributes:
        default: whether requests that name no model mean it.
        state: None where all its workers are too old to know of versions.
        versions: the current one first, then the candidate, the one before, and others that are served.
        check, comparison: of the candidate.
        history: the latest changes, the latest first.
    """

    name: str
    default: bool
    state: ModelState | None
    versions: tuple[VersionReport, ...]
    check: Check | None
    comparison: Comparison | None
    history: tuple[RecordedChange, ...]

    @property
    def withdrawn(self) -> RecordedChange | None:
        """How the candidate has lost its share, if it has and got none since."""
        latest = self.history[0] if self.history else None
        return latest if latest is not None and latest.change.action == "withdraw" else None


class ModelReports:
    """Reads them; one per API process."""

    def __init__(self, redis: Redis, live_workers: LiveWorkers) -> None:
        self._redis = redis
        self._live_workers = live_workers

    def read(self) -> list[ModelReport]:
        """Every model that a worker has registered, the default first and the others by name.

        Raises:
            BackendDown: Redis does not answer.
        """
        with redis_errors():
            registry = read_registry(self._redis)
            names = sorted({ModelVersion.from_key(key).name for key in registry.models})
            asked = [_Asked(name, registry) for name in names]
            with self._redis.pipeline(transaction=False) as pipe:
                for one in asked:
                    one.ask(pipe)
                replies: list[Any] = pipe.execute(raise_on_error=False)
            raise_refusals(replies)
        default, answers = self._default(), iter(replies)
        reports = [one.told(answers, default=one.name == default) for one in asked]
        return sorted(reports, key=lambda report: not report.default)

    def _default(self) -> str:
        try:
            return self._live_workers.fleet().default().name
        except (NoWorker, UnknownModel):
            return ""


class _Asked:
    """What is asked of Redis about one model; ``told`` reads the replies in the order of ``ask``."""

    def __init__(self, name: str, registry: Registry) -> None:
        self.name = name
        self._state = state = registry.states.get(name)
        self._workers: dict[str, list[WorkerEntry]] = {}
        for entry in registry.workers:
            if ModelVersion.from_key(entry.model).name == name:
                self._workers.setdefault(entry.model, []).append(entry)
        roles = (state.current, state.candidate, state.previous) if state is not None else ()
        named = [ModelVersion(name, version).key for version in roles if version is not None]
        self._versions = [*dict.fromkeys([*named, *sorted(self._workers)])]
        candidate = state.candidate if state is not None else None
        self._candidate = ModelVersion(name, candidate) if candidate is not None else None
        self._compared = named[:2] if candidate is not None else []

    def ask(self, pipe: Pipeline) -> None:
        pipe.xrevrange(keys.changes(self.name), count=SHOWN_CHANGES)
        for version in self._versions:
            for queue in QUEUES:
                pipe.llen(keys.rq_queue(queue(version)))
            if version in self._compared:
                tallies.ask(pipe, version)
        if self._candidate is not None:
            checks.ask(pipe, self._candidate)
            shadow.ask(pipe, self._candidate.key)

    def told(self, replies: Iterator[Any], *, default: bool) -> ModelReport:
        history = model_changes.parse(_or(next(replies), []))
        versions = tuple([self._version(version, replies) for version in self._versions])
        check = comparison = None
        if self._candidate is not None:
            check = Check.seen(_or(next(replies), None), _or(next(replies), None))
            comparison = Comparison.parse(_or(next(replies), [None] * 3), _or(next(replies), []))
        return ModelReport(
            name=self.name,
            default=default,
            state=self._state,
            versions=versions,
            check=check,
            comparison=comparison,
            history=tuple(history),
        )

    def _version(self, version: str, replies: Iterator[Any]) -> VersionReport:
        requests, bulk, jobs, bulk_jobs = (_or(next(replies), 0) for _ in QUEUES)
        tally = Tally.parse(_or(next(replies), [None] * 2)) if version in self._compared else None
        workers = self._workers.get(version, [])
        return VersionReport(
            version=ModelVersion.from_key(version),
            digests=tuple(sorted({worker.digest for worker in workers})),
            workers=len(workers),
            requests=requests + bulk,
            jobs=jobs + bulk_jobs,
            service_ms=_mean_ms(workers),
            tally=tally,
        )


def _mean_ms(workers: Sequence[WorkerEntry]) -> float:
    known = [worker.service_ms for worker in workers if worker.service_ms > 0]
    return fmean(known) if known else 0.0


def _or(reply: Any, otherwise: Any) -> Any:
    """What stands for a key of another type: somebody has written into it."""
    return otherwise if isinstance(reply, Exception) else reply

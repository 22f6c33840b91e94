"""What an operator is shown of a model beside its status: its candidate, and its history. No HTTP here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contract import checks, keys, model_changes, shadow, tallies
from contract.checks import Check
from contract.model_version import ModelVersion
from contract.redis_clients import raise_refusals, redis_errors
from contract.shadow import Comparison
from contract.tallies import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from redis.client import Pipeline

    from api.core.models import Models, ModelStatus
    from contract.model_changes import RecordedChange

SHOWN_CHANGES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """One model.

    Attributes:
        tallies: the latest computations of the current version and of the candidate; empty without a candidate.
        check, comparison: of the candidate.
        history: the latest changes, the latest first.
    """

    status: ModelStatus
    tallies: dict[ModelVersion, Tally]
    check: Check | None
    comparison: Comparison | None
    history: tuple[RecordedChange, ...]

    @property
    def candidate(self) -> ModelVersion | None:
        return _candidate(self.status)

    @property
    def withdrawn(self) -> RecordedChange | None:
        """How the candidate has lost its share, if it has and got none since."""
        latest = self.history[0] if self.history else None
        return latest if latest is not None and latest.change.action == "withdraw" else None


class ModelReports:
    """Reads them; one per API process."""

    def __init__(self, redis: Redis, models: Models) -> None:
        self._redis = redis
        self._models = models

    def read(self) -> list[ModelReport]:
        """Of every model that a worker has registered, the default first and the others by name.

        Raises:
            BackendDown: Redis does not answer.
        """
        models = self._models.registered()
        with redis_errors():
            with self._redis.pipeline(transaction=False) as pipe:
                for status in models:
                    _ask(pipe, status)
                replies: list[Any] = pipe.execute(raise_on_error=False)
            raise_refusals(replies)
        answers = iter(replies)
        return [_told(status, answers) for status in models]


def _candidate(status: ModelStatus) -> ModelVersion | None:
    state = status.state
    return ModelVersion(status.name, state.candidate) if state is not None and state.candidate is not None else None


def _ask(pipe: Pipeline, status: ModelStatus) -> None:
    pipe.xrevrange(keys.changes(status.name), count=SHOWN_CHANGES)
    candidate = _candidate(status)
    if candidate is not None:
        tallies.ask(pipe, status.current.key)
        tallies.ask(pipe, candidate.key)
        checks.ask(pipe, candidate)
        shadow.ask(pipe, candidate.key)


def _told(status: ModelStatus, replies: Iterator[Any]) -> ModelReport:
    """Reads the replies in the order of ``_ask``."""
    history = tuple(model_changes.parse(_or(next(replies), [])))
    candidate = _candidate(status)
    if candidate is None:
        return ModelReport(status=status, tallies={}, check=None, comparison=None, history=history)
    return ModelReport(
        status=status,
        tallies={version: Tally.parse(_or(next(replies), [None] * 2)) for version in (status.current, candidate)},
        check=Check.seen(_or(next(replies), None), _or(next(replies), None)),
        comparison=Comparison.parse(_or(next(replies), [None] * 3), _or(next(replies), [])),
        history=history,
    )


def _or(reply: Any, otherwise: Any) -> Any:
    """What stands for a key of another type: somebody has written into it."""
    return otherwise if isinstance(reply, Exception) else reply

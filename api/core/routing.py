"""To which version a picture goes: the one that is named, the current one, or a share of them to the candidate."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from api.core.errors import NoWorker, OtherTask, UnknownModel
from contract.model_state import WHOLE
from contract.model_version import ModelVersion, WantedModel

if TYPE_CHECKING:
    from api.core.live_workers import Fleet, WorkerPool
    from contract.model_task import ModelTask

SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a picture goes.

    Attributes:
        pool: of the version that computes it.
        instead: of the current version, if ``pool`` is its candidate's: it answers if that fails.
        shadow: of the candidate that computes it as well, and whose answer nobody gets; None for most pictures.
        observed: whether there is a candidate, so that failures are counted.
    """

    pool: WorkerPool
    instead: WorkerPool | None = None
    shadow: WorkerPool | None = None
    observed: bool = False


def route(fleet: Fleet, model: WantedModel | None, task: ModelTask, picture: str) -> Route:
    """The way of one picture.

    A picture always meets the same version, and a larger share moves pictures one way only.

    Raises:
        UnknownModel, OtherTask, NoWorker: as ``Fleet.wanted`` and ``Fleet.pool``.
    """
    version = fleet.wanted(model, task)
    state = fleet.states.get(version.name)
    if _pinned(model) or state is None or state.candidate is None:
        return Route(fleet.pool(version))
    candidate = ModelVersion(version.name, state.candidate)
    pool = fleet.pools.get(candidate.key)
    if pool is None:
        return Route(fleet.pool(version), observed=True)
    if part_of(state.candidate, picture) < state.share:
        return Route(pool, instead=fleet.pools.get(version.key), observed=True)
    shadowed = part_of(f"{SHADOW}:{state.candidate}", picture) < state.shadow
    return Route(fleet.pool(version), shadow=pool if shadowed else None, observed=True)


def fallback(fleet: Fleet, model: WantedModel | None, task: ModelTask | None, name: str) -> WorkerPool | None:
    """Who answers for a model that has too much to do; nobody for a caller who wants a certain version.

    Nor does a model of another task.

    Args:
        name: of the model that does so; "" if none does.
    """
    if not name or _pinned(model) or name == fleet.wanted(model, task).name:
        return None
    with suppress(UnknownModel, OtherTask, NoWorker):
        return fleet.pool(fleet.wanted(WantedModel(name), task))
    return None


def possible(fleet: Fleet, model: WantedModel | None, task: ModelTask | None, fallback_model: str) -> list[WorkerPool]:
    """All that may answer a picture which is not known yet.

    Raises:
        UnknownModel, OtherTask, NoWorker: as ``route``.
    """
    version = fleet.wanted(model, task)
    found = [fleet.pool(version)]
    state = fleet.states.get(version.name)
    if not _pinned(model) and state is not None and state.candidate is not None and state.share:
        found += filter(None, [fleet.pools.get(ModelVersion(version.name, state.candidate).key)])
    return found + [pool for pool in [fallback(fleet, model, task, fallback_model)] if pool is not None]


def _pinned(model: WantedModel | None) -> bool:
    return model is not None and model.version is not None


def part_of(version: str, picture: str) -> int:
    """0 to 99, evenly, and always the same for the same two."""
    return int.from_bytes(sha256(f"{version}:{picture}".encode()).digest()[:8]) % WHOLE

"""Keeping this worker in the registry: that it is alive, what it serves, what its classes are called, how fast it is.

On the same occasion it learns how many workers there are, how much room Redis has left, and which version of each of
its models is current.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import TYPE_CHECKING

from contract import last_words
from contract.decoding_cost import bounded
from contract.model_description import publish_description
from contract.model_state import ModelState, claim
from contract.model_version import ModelVersion
from contract.redis_memory import read_redis_memory
from contract.worker_registry import Roster, WorkerEntry, deregister, heartbeat, publish_labels, register
from model.serving.heartbeat import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis

    from contract.decoding_cost import DecodingCost
    from contract.model_description import ModelDescription

HEARTBEAT_EVERY_S = 1.0
LEARNED_FROM_MS = 20.0  # expected: of smaller pictures other things take the time
SERVICE_WINDOW = 15  # batches; their median is the service time, so that one huge picture does not count


@dataclass(slots=True)
class _Served:
    """One of the versions that this worker serves.

    ``claims`` says whether it is the one that this worker's settings name first of its model, which becomes current
    where no worker of the current version is alive.
    """

    entry: WorkerEntry
    labels: Sequence[str]
    description: ModelDescription
    claims: bool
    roster: Roster = field(default_factory=lambda: Roster(1, serves_bulk=False))
    service_ms: deque[float] = field(default_factory=lambda: deque(maxlen=SERVICE_WINDOW))
    bulk_ms: deque[float] = field(default_factory=lambda: deque(maxlen=SERVICE_WINDOW))


class Registration:
    """This worker's entries in the registry and its models' labels, all renewed every second.

    Args:
        clear_shared_keys: moves out of the way what somebody has written into the keys that all jobs need.
        bulk_share: of the workers that serve the bulk queues.

    Attributes:
        room_for_answers: whether Redis had room at the latest heartbeat for what can be done without.
    """

    def __init__(self, redis: Redis, clear_shared_keys: Callable[[], object], *, bulk_share: float) -> None:
        self._redis = redis
        self._clear_shared_keys = clear_shared_keys
        self._bulk_share = bulk_share
        self._served: dict[str, _Served] = {}
        self._states: dict[str, ModelState] = {}
        self.room_for_answers = True
        self._factors: dict[str, deque[float]] = {}
        self._heartbeat = Heartbeat("registration", HEARTBEAT_EVERY_S, self._beat)

    def add(self, entry: WorkerEntry, labels: Sequence[str], description: ModelDescription, *, claims: bool) -> None:
        """Register one more version with the next heartbeat; see ``_Served``."""
        self._served[entry.model] = _Served(entry, labels, description, claims)

    def start(self) -> None:
        """Register this worker now, and renew that every second.

        Raises:
            RedisError: Redis does not answer.
        """
        register(self._redis, list(self._served))
        self.renew()
        last_words.take_back(self._redis)
        self._heartbeat.start()

    def stop(self) -> None:
        """Deregister: no request counts on this worker any more.

        Raises:
            RedisError: Redis does not answer; the entries run out by themselves.
        """
        self._heartbeat.stop()
        for served in self._served.values():
            deregister(self._redis, served.entry)

    def workers(self, model: str) -> int:
        """How many that serve a version were alive at the latest heartbeat, this one included."""
        return self._served[model].roster.workers

    @property
    def serves_bulk(self) -> bool:
        """Whether this worker is among those that take costly pictures, of any of its models."""
        return any(served.roster.serves_bulk for served in list(self._served.values()))

    def served(self, model: str, pictures: int, elapsed_s: float, *, bulk: bool) -> None:
        """Take a batch's time per picture into the moving median, or into the mean of the bulk queues by themselves.

        There a median would hide the costly ones among those of a sender over his share.
        """
        served = self._served[model]
        if bulk:
            served.bulk_ms.append(elapsed_s * 1000 / pictures)
            served.entry = replace(served.entry, bulk_ms=fmean(served.bulk_ms))
            return
        served.service_ms.append(elapsed_s * 1000 / pictures)
        served.entry = replace(served.entry, service_ms=median(served.service_ms))

    def decoded(self, cost: DecodingCost, took_ms: float) -> None:
        """Learn from a picture what those of its kind cost here."""
        if cost.ms < LEARNED_FROM_MS:
            return
        of_kind = self._factors.setdefault(cost.kind, deque(maxlen=SERVICE_WINDOW))
        of_kind.append(took_ms / cost.ms)

    def _beat(self) -> None:
        try:
            self.renew()
        finally:  # also what only the API writes; and if it was this worker's entry, the next beat makes it anew
            self._clear_shared_keys()

    def renew(self) -> None:
        """Send one heartbeat.

        Raises:
            RedisError: Redis does not answer or refuses to write.
        """
        self.room_for_answers = read_redis_memory(self._redis).has_room_for_answers  # before a full Redis refuses
        learned = {kind: bounded(median(list(factors))) for kind, factors in list(self._factors.items())}
        for served in list(self._served.values()):
            self._renew(served, learned)

    def _renew(self, served: _Served, cost_factors: dict[str, float]) -> None:
        served.entry = replace(served.entry, cost_factors=cost_factors)
        publish_labels(self._redis, served.entry.model, served.entry.digest, served.labels)  # no entry without labels
        publish_description(self._redis, served.entry.model, served.entry.digest, served.description)
        served.roster = heartbeat(self._redis, served.entry, bulk_share=self._bulk_share)
        if served.claims:
            model = ModelVersion.from_key(served.entry.model)
            self._states[model.name] = claim(self._redis, model, self._states.get(model.name))

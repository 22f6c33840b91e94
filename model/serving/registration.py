"""Keeping this worker in the registry: that it is alive, what it serves, what its classes are called, how fast it is.

On the same occasion it learns how many workers there are, how much room Redis has left, and which version of each of
its models is current.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import TYPE_CHECKING

from contract import last_words
from contract.decoding_cost import bounded
from contract.loading import withdraw
from contract.model_description import publish_description
from contract.model_state import ModelState, claim
from contract.model_version import ModelVersion
from contract.redis_clock import RedisClock
from contract.redis_memory import read_redis_memory
from contract.worker_registry import Beat, Roster, WorkerEntry, deregister, heartbeats, publish_labels, register
from model.serving.heartbeat import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis

    from contract.decoding_cost import DecodingCost
    from contract.model_description import ModelDescription

HEARTBEAT_EVERY_S = 1.0
WRITTEN_EVERY_S = 10.0  # what has not changed: entries, labels and descriptions, which live several times as long
LEARNED_FROM_MS = 20.0  # expected: of smaller pictures other things take the time
SERVICE_WINDOW = 15  # batches; their median is the service time, so that one huge picture does not count


@dataclass(slots=True)
class _Served:
    """One of the versions that this worker serves.

    ``registered_s`` is when it was registered; 0 for one that came later, which makes its model no newer than it was.
    ``written`` is its entry as Redis has it since ``written_at`` (by ``time.monotonic``). ``withdrawn`` says that no
    request is to rely on it any more, although what is still on its queues is computed.
    """

    entry: WorkerEntry
    labels: Sequence[str]
    description: ModelDescription
    registered_s: float = 0.0
    registered: bool = False
    withdrawn: bool = False
    written: WorkerEntry | None = None
    written_at: float = 0.0
    roster: Roster = field(default_factory=lambda: Roster(1, serves_bulk=False))
    service_ms: deque[float] = field(default_factory=lambda: deque(maxlen=SERVICE_WINDOW))
    bulk_ms: deque[float] = field(default_factory=lambda: deque(maxlen=SERVICE_WINDOW))


class Registration:
    """This worker's entries in the registry and its models' labels, all renewed every second.

    Args:
        clear_shared_keys: moves out of the way what somebody has written into the keys that all jobs need.
        bulk_share: of the workers that serve the bulk queues.
        then: called after each heartbeat.

    Attributes:
        clock: Redis', read with each heartbeat.
        states: which version is current, and so on, by model name, as of the latest heartbeat.
        wake: as in ``WorkerEntry``.
        room_for_answers: whether Redis had room at the latest heartbeat for what can be done without.
    """

    def __init__(
        self,
        redis: Redis,
        clear_shared_keys: Callable[[], object],
        *,
        bulk_share: float,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        self._redis = redis
        self.clock = RedisClock(redis)
        self._clear_shared_keys = clear_shared_keys
        self._bulk_share = bulk_share
        self._then = then
        self._served: dict[str, _Served] = {}
        self._claimed: dict[str, ModelVersion] = {}
        self.states: dict[str, ModelState] = {}
        self.wake = ""
        self.room_for_answers = True
        self._factors: dict[str, deque[float]] = {}
        self._heartbeat = Heartbeat("registration", HEARTBEAT_EVERY_S, self._beat)

    def add(self, entry: WorkerEntry, labels: Sequence[str], description: ModelDescription, *, claims: bool) -> None:
        """Register one more version with the next heartbeat.

        Args:
            claims: whether it is the one that this worker's settings mean by its name. It becomes current where no
                worker of the current version is alive.
        """
        self._served[entry.model] = _Served(entry, labels, description)
        if claims:
            model = ModelVersion.from_key(entry.model)
            self._claimed[model.name] = model

    def is_registered(self, model: str) -> bool:
        """Whether requests may rely on this version here since a heartbeat."""
        served = self._served.get(model)
        return served is not None and served.registered

    def withdraw(self, model: str, state: ModelState) -> None:
        """Let no request rely on this version here any more, which is not needed in this state of its model.

        Raises:
            WatchError: the state has changed, or something is being loaded; the version stays registered.
            RedisError: Redis does not answer; the next heartbeat registers it again.
        """
        served = self._served[model]
        withdraw(self._redis, served.entry, state)
        served.withdrawn, served.registered, served.written = True, False, None

    def restore(self, model: str) -> None:
        """Undo ``withdraw`` with the next heartbeat."""
        self._served[model].withdrawn = False

    def forget(self, model: str) -> None:
        """It is served no longer, and was withdrawn before."""
        del self._served[model]

    def start(self) -> None:
        """Register this worker now, and renew that every second.

        Raises:
            RedisError: Redis does not answer.
        """
        for served in self._served.values():  # before anybody hears of the version
            self._publish(served)
        for model, registered_s in register(self._redis, list(self._served)).items():
            self._served[model].registered_s = registered_s
        self.renew()
        last_words.take_back(self._redis)
        self._heartbeat.start()

    def stop(self) -> None:
        """Deregister: no request counts on this worker any more.

        Raises:
            RedisError: Redis does not answer; the entries run out by themselves.
        """
        self._heartbeat.stop()
        for served in list(self._served.values()):
            deregister(self._redis, served.entry)

    def workers(self, model: str) -> int:
        """How many that serve a version were alive at the latest heartbeat, this one included."""
        served = self._served.get(model)
        return served.roster.workers if served is not None and not served.withdrawn else 1

    @property
    def serves_bulk(self) -> bool:
        """Whether this worker is among those that take costly pictures, of any of its models."""
        return any(served.roster.serves_bulk for served in list(self._served.values()))

    def served(self, model: str, pictures: int, elapsed_s: float, *, bulk: bool) -> None:
        """Take a batch's time per picture into the moving median, or into the mean of the bulk queues by themselves.

        There a median would hide the costly ones among those of a sender over his share.
        """
        served = self._served.get(model)
        if served is None:
            return
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
            self._then()
        finally:  # also what only the API writes
            if self._clear_shared_keys():  # it may have been an entry: the next beat writes all of them anew
                for served in list(self._served.values()):
                    served.written = None

    def renew(self) -> None:
        """Send one heartbeat.

        Raises:
            RedisError: Redis does not answer or refuses to write.
        """
        self.room_for_answers = read_redis_memory(self._redis).has_room_for_answers  # before a full Redis refuses
        now_s = self.clock.read()
        learned = {kind: bounded(median(list(factors))) for kind, factors in list(self._factors.items())}
        live = [served for served in list(self._served.values()) if not served.withdrawn]
        for served in live:
            served.entry = replace(served.entry, cost_factors=learned, wake=self.wake)
        forgotten = self._renew(live, now_s)
        if forgotten:  # Redis has lost its data: more may be missing than it has said
            self._renew(forgotten, now_s)
        for name, model in self._claimed.items():
            self.states[name] = self._state(model)

    def _renew(self, live: Sequence[_Served], now_s: float) -> list[_Served]:
        """Renew these; returns those that Redis did not know any more, whose entries are to be written again."""
        beats = []
        for served in live:
            in_full = served.entry != served.written or time.monotonic() - served.written_at >= WRITTEN_EVERY_S
            if in_full:
                self._publish(served)  # no entry without labels
            beats.append(Beat(served.entry, served.registered_s, in_full))
        heard = heartbeats(self._redis, beats, now_s, self._bulk_share)
        forgotten = []
        for served, beat, told in zip(live, beats, heard, strict=True):
            served.roster, served.registered = told.roster, True
            if beat.in_full:
                served.written, served.written_at = beat.entry, time.monotonic()
            elif not told.was_known:
                served.written = None
                forgotten.append(served)
        return forgotten

    def _publish(self, served: _Served) -> None:
        publish_labels(self._redis, served.entry.model, served.entry.digest, served.labels)
        publish_description(self._redis, served.entry.model, served.entry.digest, served.description)

    def _state(self, claimed: ModelVersion) -> ModelState:
        """A worker that serves what it claims no longer claims what it serves instead."""
        served = [model for model in map(ModelVersion.from_key, list(self._served)) if model.name == claimed.name]
        mine = claimed if claimed in served or not served else served[0]
        versions = {model.version for model in served}
        return claim(self._redis, mine, self.states.get(claimed.name), served=versions)

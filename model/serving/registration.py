"""Keeping this worker in the registry: that it is alive, what it serves, what its classes are called, how fast it is.

On the same occasion it learns how many workers there are, and how much room Redis has left.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from statistics import fmean, median
from typing import TYPE_CHECKING

from contract import last_words
from contract.decoding_cost import bounded
from contract.redis_memory import read_redis_memory
from contract.worker_registry import WorkerEntry, deregister, heartbeat, publish_labels, register
from model.serving.heartbeat import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis

    from contract.decoding_cost import DecodingCost

HEARTBEAT_EVERY_S = 1.0
LEARNED_FROM_MS = 20.0  # expected: of smaller pictures other things take the time
SERVICE_WINDOW = 15  # batches; their median is the service time, so that one huge picture does not count


class Registration:
    """This worker's entry in the registry and its model's labels, both renewed every second.

    Args:
        clear_shared_keys: moves out of the way what somebody has written into the keys that all jobs need.
        bulk_share: of the workers that serve the bulk queues.

    Attributes:
        workers: how many of its model were alive at the latest heartbeat, this one included.
        serves_bulk: whether this worker is among those that take costly pictures.
        room_for_answers: whether Redis had room then for what can be done without.
    """

    def __init__(
        self,
        redis: Redis,
        entry: WorkerEntry,
        labels: Sequence[str],
        clear_shared_keys: Callable[[], object],
        *,
        bulk_share: float,
    ) -> None:
        self._redis = redis
        self._entry = entry
        self._labels = labels
        self._clear_shared_keys = clear_shared_keys
        self._bulk_share = bulk_share
        self.workers = 1
        self.serves_bulk = False
        self.room_for_answers = True
        self._service_ms: deque[float] = deque(maxlen=SERVICE_WINDOW)
        self._bulk_ms: deque[float] = deque(maxlen=SERVICE_WINDOW)
        self._factors: dict[str, deque[float]] = {}
        self._heartbeat = Heartbeat("registration", HEARTBEAT_EVERY_S, self._beat)

    def start(self) -> None:
        """Register this worker now, and renew that every second.

        Raises:
            RedisError: Redis does not answer.
        """
        register(self._redis, self._entry.model)
        self.renew()
        last_words.take_back(self._redis)
        self._heartbeat.start()

    def stop(self) -> None:
        """Deregister: no request counts on this worker any more.

        Raises:
            RedisError: Redis does not answer; the entry runs out by itself.
        """
        self._heartbeat.stop()
        deregister(self._redis, self._entry)

    def served(self, pictures: int, elapsed_s: float, *, bulk: bool) -> None:
        """Take a batch's time per picture into the moving median, or into the mean of the bulk queues by themselves.

        There a median would hide the costly ones among those of a sender over his share.
        """
        if bulk:
            self._bulk_ms.append(elapsed_s * 1000 / pictures)
            self._entry = replace(self._entry, bulk_ms=fmean(self._bulk_ms))
            return
        self._service_ms.append(elapsed_s * 1000 / pictures)
        self._entry = replace(self._entry, service_ms=median(self._service_ms))

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
        publish_labels(self._redis, self._entry.model, self._entry.digest, self._labels)  # no entry without its labels
        learned = {kind: bounded(median(list(factors))) for kind, factors in list(self._factors.items())}
        self._entry = replace(self._entry, cost_factors=learned)
        roster = heartbeat(self._redis, self._entry, bulk_share=self._bulk_share)
        self.workers, self.serves_bulk = roster.workers, roster.serves_bulk

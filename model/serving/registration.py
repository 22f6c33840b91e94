"""Telling the API side that this worker is alive, what it serves, what its classes are called and how fast it is.

And learning on the same occasion how much room Redis has left.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from contract.redis_memory import read_redis_memory
from contract.worker_registry import WorkerEntry, deregister, heartbeat, publish_labels, register
from model.serving.heartbeat import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

ANNOUNCE_EVERY_S = 1.0
SERVICE_WINDOW = 15  # batches; their median is the service time, so that one huge picture does not count


class Registration:
    """This worker's card in the roster and its model's labels, both renewed every second.

    Attributes:
        workers: how many of its model were alive at the latest announcement, this one included.
        room_for_answers: whether Redis had room then for what can be done without.
    """

    def __init__(self, redis: Redis, card: WorkerEntry, labels: Sequence[str]) -> None:
        self._redis = redis
        self._card = card
        self._labels = labels
        self.workers = 1
        self.room_for_answers = True
        self._service_ms: deque[float] = deque(maxlen=SERVICE_WINDOW)
        self._heartbeat = Heartbeat("presence", ANNOUNCE_EVERY_S, self._announce)

    def start(self) -> None:
        """Announce this worker now, and then every second.

        Raises:
            RedisError: Redis does not answer.
        """
        register(self._redis, self._card.model)
        self._announce()
        self._heartbeat.start()

    def stop(self) -> None:
        """Withdraw: no request counts on this worker any more.

        Raises:
            RedisError: Redis does not answer; the card runs out by itself.
        """
        self._heartbeat.stop()
        deregister(self._redis, self._card)

    def served(self, pictures: int, elapsed_s: float) -> None:
        """Take a batch's time per picture into the moving median."""
        self._service_ms.append(elapsed_s * 1000 / pictures)
        self._card = replace(self._card, service_ms=median(self._service_ms))

    def _announce(self) -> None:
        self.room_for_answers = read_redis_memory(self._redis).has_room_for_answers  # before a full Redis refuses
        publish_labels(self._redis, self._card.model, self._card.digest, self._labels)  # no card without its labels
        self.workers = heartbeat(self._redis, self._card)

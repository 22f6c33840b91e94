"""Something small that has to happen every so often, beside the work."""

from __future__ import annotations

import logging
from threading import Event, Thread
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)


class Heartbeat:
    """Calls ``beat`` every ``interval_s`` seconds in a thread of its own; a beat that fails is logged."""

    def __init__(self, name: str, interval_s: float, beat: Callable[[], None]) -> None:
        self._name = name
        self._interval_s = interval_s
        self._beat = beat
        self._stopped = Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No beat comes after this returns."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            try:
                self._beat()
            except RedisError as error:
                log.warning("%s: Redis does not answer: %s", self._name, error)
            except Exception:
                log.exception("%s: a beat failed", self._name)  # without its thread a worker would work unseen

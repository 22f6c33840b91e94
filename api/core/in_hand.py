"""The pictures that this process' requests have in hand, where none is to be kept after them."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

from contract.errors import BackendDown

if TYPE_CHECKING:
    from contract.image_store import PictureStore


class InHand:
    """Whether anybody has sent a picture since is told by the time when it was stored, which all processes see."""

    def __init__(self, store: PictureStore) -> None:
        self._store = store
        self._lock = Lock()
        self._requests: Counter[str] = Counter()
        self._sent_at_ns: dict[str, int | None] = {}

    def take(self, name: str) -> None:
        """A request has just stored the picture, or sent it again."""
        sent_at_ns = None
        with suppress(BackendDown):  # then it goes by its age
            sent_at_ns = self._store.sent_at_ns(name)
        with self._lock:
            self._requests[name] += 1
            self._sent_at_ns[name] = sent_at_ns

    def let_go(self, name: str) -> float | None:
        """A request is over.

        Raises:
            BackendDown: the store does not tell whether others have sent it.

        Returns:
            How long ago this process' last request sent the picture, in seconds; None if others have it in hand.
        """
        with self._lock:
            self._requests[name] -= 1
            if self._requests[name] > 0:
                return None
            del self._requests[name]
            sent_at_ns = self._sent_at_ns.pop(name, None)
        if sent_at_ns is None or self._store.sent_at_ns(name) != sent_at_ns:
            return None
        return max(0.0, time.time() - sent_at_ns / 1e9)

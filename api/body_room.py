"""How many bytes of request bodies one process reads at a time."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from api.errors import RETRY_SOON_S, Overloaded

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOM_BYTES = 250_000_000  # docs/deployment.md adds up what a container needs with it


class BodyRoom:
    """Bodies are read into memory, and many slow senders at once must not fill it.

    A body takes its room before it is read and gives it back once its parts are known: a picture is stored, and let go,
    right after. One body alone is always read, however large the limit of a request is.
    """

    def __init__(self, room_bytes: int = ROOM_BYTES) -> None:
        self._room_bytes = room_bytes
        self._taken = 0
        self._lock = Lock()

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Hold ``size`` bytes while the context lasts.

        Raises:
            Overloaded: others hold too much.
        """
        with self._lock:
            if self._taken and self._taken + size > self._room_bytes:
                raise Overloaded("this service is reading as many uploads as it has room for", RETRY_SOON_S)
            self._taken += size
        try:
            yield
        finally:
            with self._lock:
                self._taken -= size

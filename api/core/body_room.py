"""Memory for the bodies of requests while they are read, counted as they come: what was announced takes none."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from api.core.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SENDERS_SHARE = 0.5  # of all room that one sender's bodies may take together: the rest is for the others


class BodyRoom:
    """One per API process; its requests share a thread.

    Args:
        most_bytes: of all bodies that are being read.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._by_sender: Counter[str] = Counter()
        self._taken_bytes = 0

    @property
    def taken_bytes(self) -> int:
        """What is held at the moment."""
        return self._taken_bytes

    @contextmanager
    def body(self, sender: str) -> Iterator[Callable[[int], None]]:
        """Read one body while the context lasts; then it is parsed, and its pictures are stored and freed right after.

        A sender's only body may take what it needs, and so may the only body of all, however large a request may be.

        Yields:
            What takes room: to be called with the size of each piece in bytes, and with a negative size for what of it
            did not come. It raises ``Overloaded`` where there is none; then the body is to be let go.
        """
        mine = 0

        def take(size_bytes: int) -> None:
            nonlocal mine
            mine += size_bytes
            self._by_sender[sender] += size_bytes
            self._taken_bytes += size_bytes
            if size_bytes <= 0:
                return
            others = self._taken_bytes - mine
            if others and others + mine > self._most_bytes:
                raise Overloaded("this service is reading as many uploads as it has room for")
            senders_others = self._by_sender[sender] - mine
            if senders_others and senders_others + mine > SENDERS_SHARE * self._most_bytes:
                raise Overloaded("this service is reading as many uploads from you as it has room for")

        try:
            yield take
        finally:
            self._taken_bytes -= mine
            self._by_sender[sender] -= mine
            if not self._by_sender[sender]:
                del self._by_sender[sender]

"""Open connections by the address of their other end."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from api.core.sender_names import is_trusted, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.settings import Networks


class Peers:
    """Counts for as long as connections are open, so it holds no more names than there are connections.

    Args:
        trusted_proxies: these are not counted: behind each of them are many senders.
    """

    def __init__(self, trusted_proxies: Networks) -> None:
        self._trusted_proxies = trusted_proxies
        self._open: Counter[str] = Counter()

    @contextmanager
    def connection(self, address: str) -> Iterator[int]:
        """Count one more while the context lasts; yields how many its peer has with it, or 0 for a trusted proxy."""
        if is_trusted(address, self._trusted_proxies):
            yield 0
            return
        peer = name_of(address)
        self._open[peer] += 1
        try:
            yield self._open[peer]
        finally:
            self._open[peer] -= 1
            if not self._open[peer]:
                del self._open[peer]

"""Reading the pictures of a batch: from a bucket side by side, because each takes a round trip."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from contract.errors import PictureNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from contract.image_store import PictureStore

log = logging.getLogger(__name__)


class PictureReader:
    """One per worker."""

    def __init__(self, store: PictureStore) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(store.reads_at_once) if store.reads_at_once > 1 else None

    def read(self, names: Iterable[str], on_progress: Callable[[], None]) -> dict[str, bytes]:
        """The bytes of those pictures that are there, by name.

        Args:
            on_progress: called after each.

        Raises:
            BackendDown: the store is away, or fails with one of them.
        """
        wanted = list(dict.fromkeys(names))
        found: dict[str, bytes] = {}
        for name, data in zip(wanted, self._read_each(wanted), strict=True):
            on_progress()
            if data is None:
                log.error("picture %s is not in the store: it has to be sent again", name)
            else:
                found[name] = data
        return found

    def _read_each(self, names: list[str]) -> Iterator[bytes | None]:
        return map(self._read_one, names) if self._threads is None else self._threads.map(self._read_one, names)

    def _read_one(self, name: str) -> bytes | None:
        try:
            return self._store.read(name)
        except PictureNotFound:
            return None

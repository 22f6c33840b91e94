"""Room for a new picture: the pictures that were sent longest ago go, but for those that a job needs."""

from __future__ import annotations

import logging
import time
from threading import Lock
from typing import TYPE_CHECKING

from gevent import get_hub

from contract.file_lock import locked
from contract.store_room import SHARDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from contract.image_store import ImageStore
    from contract.store_room import StoreRoom

log = logging.getLogger(__name__)

SHARE = 0.1  # of what is stored is deleted at once: it takes a look at every file
AT_ONCE = 100  # pictures, in two round trips to Redis
WAIT_S = 5.0  # while another request, or another process, makes room
FUTILE_FOR_S = 5.0  # when there was nothing to delete, nobody looks again for so long
LOCK = ".eviction"  # the name of the file that the deleting process holds


class Eviction:
    """One per process; one process at a time deletes.

    Args:
        idle_s: a picture last sent less than so many seconds ago stays: its job may not be submitted yet.
        remove: deletes those of the pictures that nobody needs, and returns how many bytes that gave.
    """

    def __init__(
        self, folder: Path, store: ImageStore, room: StoreRoom, *, idle_s: float, remove: Callable[[Sequence[str]], int]
    ) -> None:
        self._folder = folder
        self._store = store
        self._room = room
        self._idle_s = idle_s
        self._remove = remove
        self._one_at_a_time = Lock()
        self._futile_until = float("-inf")

    def make_room(self, size_bytes: int) -> bool:
        """Delete a tenth of what is stored, and at least ``size_bytes``, oldest first.

        Returns:
            Whether the picture is worth another try.

        Raises:
            BackendDown: Redis can't tell which pictures are needed.
            OSError: the folder can't be read or written, or another process makes room for too long.
        """
        if not self._one_at_a_time.acquire(timeout=WAIT_S):
            return False
        try:
            if time.monotonic() < self._futile_until:
                return False
            with locked(self._folder / LOCK, wait_s=WAIT_S):
                if self._room.has(size_bytes):
                    return True  # another has made it
                freed = self._evict(max(size_bytes, int(SHARE * self._room.used_bytes())))
            if not freed:
                self._futile_until = time.monotonic() + FUTILE_FOR_S
            return freed > 0
        finally:
            self._one_at_a_time.release()

    def _evict(self, wanted_bytes: int) -> int:
        young = time.time() - self._idle_s
        found: list[tuple[float, str]] = get_hub().threadpool.apply(self._oldest_first)
        names = [name for sent_at, name in found if sent_at < young]
        freed = 0
        for first in range(0, len(names), AT_ONCE):
            freed += self._remove(names[first : first + AT_ONCE])
            if freed >= wanted_bytes:
                break
        log.info("old pictures were deleted to make room: %d MB", freed // 1_000_000)
        return freed

    def _oldest_first(self) -> list[tuple[float, str]]:
        return sorted(picture for shard in range(SHARDS) for picture in self._store.pictures(shard))

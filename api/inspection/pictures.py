"""The pictures of inspections: where they are full, the oldest go, as the oldest inspections do."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from api.feedback.pictures import ReportedPictures
from contract.errors import StoreFull
from contract.file_lock import locked
from contract.store_room import SHARDS, room_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from contract.image_store import PictureStore

log = logging.getLogger(__name__)

SHARE = 0.05  # of the room is made at once: it takes a look at every file
LOCK = ".rolling"  # the name of the file that the process holds which makes room
LOCK_WAIT_S = 5.0  # another process looks at every file, and deletes some
TRIES = 3  # others may take the room that was made


class InspectedPictures(ReportedPictures):
    """As those of reports, but that there is always room for the newest; any number of processes may keep some.

    Of a disk that is full, and not only this folder, nothing is taken from what is there.
    """

    def __init__(self, folder: Path, uploads: PictureStore, *, most_bytes: int, reserve_bytes: int) -> None:
        super().__init__(folder, uploads, most_bytes=most_bytes, reserve_bytes=reserve_bytes)
        self._most_bytes = most_bytes

    def _put(self, data: bytes) -> None:
        """Raises StoreFull: the disk is full, or the picture is larger than the whole room."""
        for _ in range(TRIES):
            try:
                super()._put(data)
            except StoreFull:
                if not self._make_room(room_for(len(data))):
                    raise
            else:
                return
        super()._put(data)

    def _make_room(self, wanted_bytes: int) -> bool:
        """Whether the picture is worth another try.

        Raises:
            OSError: the folder can't be read or written, or another process makes room for too long.
        """
        room = self.store.room
        if room is None or wanted_bytes > self._most_bytes:
            return False
        with locked(self.folder / LOCK, wait_s=LOCK_WAIT_S):
            over_bytes = room.used_bytes() + wanted_bytes - self._most_bytes
            if over_bytes <= 0:  # another process has made it, or the disk is full
                return room.has(wanted_bytes)
            freed = self._delete_oldest(max(over_bytes, int(SHARE * self._most_bytes)))
        log.info("the oldest pictures of inspections were deleted to make room: %d MB", freed // 1_000_000)
        return freed > 0

    def _delete_oldest(self, wanted_bytes: int) -> int:
        freed = 0
        for sent_at, name in sorted(self._kept()):
            if freed >= wanted_bytes:
                break
            # One that has been sent again since it was looked at is among the newest, and stays.
            freed += self.store.remove([name], idle_s=time.time() - sent_at, held=lambda _names: ())
        return freed

    def _kept(self) -> Iterator[tuple[float, str]]:
        for shard in range(SHARDS):
            yield from self.store.pictures(shard)
            time.sleep(0)  # this process' other requests go on meanwhile

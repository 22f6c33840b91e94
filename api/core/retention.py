"""Deletes stored pictures that were not sent again for long enough, and those that were refused, a few at a time."""

from __future__ import annotations

import itertools
import logging
import time
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any

from contract import keys
from contract.errors import BackendDown
from contract.redis_clients import redis_errors
from contract.redis_clock import read_time_s
from contract.store_room import SHARDS

if TYPE_CHECKING:
    from redis import Redis

    from api.core.uploads import Uploads
    from contract.image_store import ImageStore

log = logging.getLogger(__name__)

PAUSE_S = 10.0  # one subfolder of 256 each time: a whole round takes 43 minutes and no step blocks the process
SHORT_PAUSE_S = 0.25  # where pictures are kept for minutes only: a round takes one
REFUSED_AT_ONCE = 1000  # more than that in a pause are not classified


class Retention:
    """Sweeps a folder of uploads, and keeps the counts of all stores true.

    Args:
        kept_for_s: a picture that was last sent longer ago is deleted.
        others: stores in which nothing is deleted.
        often: whether every picture is looked at within about a minute, instead of an hour.
    """

    def __init__(
        self,
        uploads: Uploads,
        redis: Redis,
        *,
        kept_for_s: float,
        others: tuple[ImageStore, ...],
        often: bool = False,
    ) -> None:
        self._uploads = uploads
        self._redis = redis
        self._kept_for_s = kept_for_s
        self._stores = (uploads.store, *others)
        self._pause_s = SHORT_PAUSE_S if often else PAUSE_S

    def start(self) -> None:
        """Count what is stored, then sweep in the background for as long as this process lives."""
        for store in self._stores:
            if store.room is not None:
                with suppress(OSError):  # then uploads are refused until the folder can be written
                    store.room.prepare()
        Thread(target=self._sweep_forever, name="sweeper", daemon=True).start()

    def _sweep_forever(self) -> None:
        refused_at = float("-inf")
        for shard in itertools.cycle(range(SHARDS)):
            try:
                self.sweep(shard)
                if time.monotonic() - refused_at >= PAUSE_S:
                    refused_at = time.monotonic()
                    self.delete_refused()
            except (OSError, BackendDown) as error:
                log.warning("old pictures can't be deleted: %s", error)
            time.sleep(self._pause_s)

    def sweep(self, shard: int) -> None:
        """Delete what is too old in one subfolder, 0 to ``SHARDS`` - 1, copies of what is gone, and count what is left.

        Raises:
            BackendDown: Redis can't tell which pictures are needed.
            OSError: the folder can't be read or written.
        """
        self._uploads.copies.tidy(shard)
        self._uploads.remove_copies(list(self._uploads.copies.pictures(shard)))
        for store in self._stores:
            store.tidy(shard)
        oldest = time.time() - self._kept_for_s
        names = [name for sent_at, name in self._uploads.store.pictures(shard) if sent_at < oldest]
        if names and self._uploads.remove(names, idle_s=self._kept_for_s, reason="age"):
            log.info("deleted pictures past retention")

    def delete_refused(self) -> None:
        """Delete the pictures that no worker could read.

        Raises:
            BackendDown: Redis does not answer.
            OSError: the folder can't be written.
        """
        with redis_errors():
            refused_before = read_time_s(self._redis) - self._uploads.idle_s
            found: Any = self._redis.zrangebyscore(keys.REFUSED_PICTURES, 0, refused_before, 0, REFUSED_AT_ONCE)
            if not found:
                return
            self._redis.zrem(keys.REFUSED_PICTURES, *found)  # first: whoever is refused meanwhile enters it again
        names = [name.decode(errors="replace") for name in found]
        self._uploads.remove(names, idle_s=self._uploads.idle_s, reason="refused")

"""Deletes from a bucket what is too old there, in rounds: one at a time of all processes on all machines."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

from contract import keys
from contract.redis_clients import redis_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from api.core.uploads import Reason, Uploads
    from contract.image_store.bucket import Listed
    from contract.image_store.bucket_copies import BucketCopies
    from contract.image_store.bucket_store import BucketStore

log = logging.getLogger(__name__)

ROUNDS = 16  # in the time that a picture is kept
SHORTEST_ROUND_S, LONGEST_ROUND_S = 60, 3600  # a request to the store for each 1000 pictures, which costs
AGES = 64  # parts of the time that pictures are kept, in which their bytes are counted


class BucketSweep:
    """A round lists everything once, and deletes what is too old; what is left is held to a number of bytes.

    Args:
        kept_for_s: a picture that was stored longer ago is deleted.
        most_bytes: above that those go that were stored longest ago, but none that a sender may count on being young.
    """

    def __init__(
        self,
        uploads: Uploads,
        store: BucketStore,
        copies: BucketCopies,
        redis: Redis,
        *,
        kept_for_s: float,
        most_bytes: int,
    ) -> None:
        self._uploads = uploads
        self._store = store
        self._copies = copies
        self._redis = redis
        self._kept_for_s = kept_for_s
        self._most_bytes = most_bytes
        self._every_s = int(min(LONGEST_ROUND_S, max(SHORTEST_ROUND_S, kept_for_s / ROUNDS)))
        self._next = float("-inf")

    def sweep(self, _shard: int) -> None:
        """Make a round, if one is due and nobody has begun it.

        Raises:
            BackendDown: Redis, or the store, does not answer; what is left goes in the next round.
        """
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + SHORTEST_ROUND_S
        with redis_errors():
            is_ours = self._redis.set(keys.SWEPT, 1, nx=True, ex=self._every_s)
        if is_ours:
            self.make_round()

    def make_round(self) -> None:
        """Delete what is too old, and what there is no room for. Raises as ``sweep``."""
        by_age: Counter[int] = Counter()
        step_s = self._kept_for_s / AGES
        for page in self._store.pages():
            now = time.time()
            self._remove(page, older_than_s=self._kept_for_s, reason="age")
            for picture in page:
                by_age[max(0, int((now - picture.stored_at) / step_s))] += picture.size_bytes
        fits_s = self._fitting_s(by_age, step_s)
        if fits_s < self._kept_for_s:
            for page in self._store.pages():
                self._remove(page, older_than_s=fits_s, reason="room")
        for page in self._copies.pages():
            self._remove_copies(page)

    def _fitting_s(self, by_age: Counter[int], step_s: float) -> float:
        """The age up to which pictures have room together, in seconds.

        A picture younger than that at which it would be stored again may have a job that is just being submitted.
        """
        left = self._most_bytes
        for age in range(AGES):
            left -= by_age[age]
            if left < 0:
                return max(age * step_s, self._store.renewed_after_s, self._uploads.idle_s)
        return self._kept_for_s

    def _remove(self, page: Sequence[Listed], *, older_than_s: float, reason: Reason) -> None:
        before = time.time() - older_than_s
        names = [picture.name for picture in page if picture.stored_at < before]
        if names and self._uploads.remove(names, idle_s=older_than_s, reason=reason):
            log.info("deleted pictures past retention, or for which there was no room")

    def _remove_copies(self, page: Sequence[Listed]) -> None:
        """Those as old as a picture can be; others go with their picture. Whoever looks has another made."""
        before = time.time() - self._kept_for_s
        for copy in page:
            if copy.stored_at < before:
                self._copies.remove(copy.name)

"""Deletes from the folder of uploads what is too old there, one subfolder of 256 at a time."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.core.uploads import Uploads
    from contract.copy_store import CopyStore
    from contract.image_store import ImageStore

log = logging.getLogger(__name__)


class FolderSweep:
    """Each process sweeps: what another has deleted is not there any more.

    Args:
        kept_for_s: a picture that was last sent longer ago is deleted.
    """

    def __init__(self, uploads: Uploads, store: ImageStore, copies: CopyStore, *, kept_for_s: float) -> None:
        self._uploads = uploads
        self._store = store
        self._copies = copies
        self._kept_for_s = kept_for_s

    def sweep(self, shard: int) -> None:
        """Delete what is too old in one subfolder, 0 to ``SHARDS`` - 1, copies of what is gone, and count what is left.

        Raises:
            BackendDown: Redis can't tell which pictures are needed.
            OSError: the folder can't be read or written.
        """
        self._copies.tidy(shard)
        self._uploads.remove_copies(list(self._copies.pictures(shard)))
        self._store.tidy(shard)
        oldest = time.time() - self._kept_for_s
        names = [name for sent_at, name in self._store.pictures(shard) if sent_at < oldest]
        if names and self._uploads.remove(names, idle_s=self._kept_for_s, reason="age"):
            log.info("deleted pictures past retention")

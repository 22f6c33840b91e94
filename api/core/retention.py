"""Deletes stored pictures that have not been sent again for long enough, a few at a time."""

from __future__ import annotations

import itertools
import logging
import time
from threading import Thread
from typing import TYPE_CHECKING

from contract.image_store import SHARDS

if TYPE_CHECKING:
    from contract.image_store import ImageStore

log = logging.getLogger(__name__)

PAUSE_S = 10.0  # one subfolder of 256 each time: a whole round takes 43 minutes and no step blocks the process


def start(store: ImageStore, kept_for_s: float) -> None:
    """Sweep in the background for as long as this process lives."""
    Thread(target=_sweep_forever, args=(store, kept_for_s), name="sweeper", daemon=True).start()


def _sweep_forever(store: ImageStore, older_than_s: float) -> None:
    for shard in itertools.cycle(range(SHARDS)):
        try:
            deleted = store.expire(shard, older_than_s)
        except OSError as error:
            log.warning("old pictures can't be deleted: %s", error)
        else:
            if deleted:
                log.info("deleted %d pictures past retention", deleted)
        time.sleep(PAUSE_S)

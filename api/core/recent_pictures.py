"""Which pictures were sent lately, by the times of the image store."""

from __future__ import annotations

import time
from heapq import nlargest
from typing import TYPE_CHECKING

from contract.store_room import SHARDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.image_store import PictureStore

MOST_LOOKED_AT = 200_000  # files; a picture's subfolder is chance, so the first ones hold a fair part of all


def recent_pictures(store: PictureStore, most: int, *, idle_s: float, beat: Callable[[], None]) -> list[str]:
    """The names of the ``most`` pictures that were sent last, the latest first.

    Args:
        idle_s: what was sent less than so many seconds ago is left out.
        beat: called between two subfolders, of which one may hold thousands.
    """
    before, looked_at = time.time() - idle_s, 0
    latest: list[tuple[float, str]] = []
    for shard in range(SHARDS):
        found = store.pictures(shard)
        looked_at += len(found)
        latest = nlargest(most, [*latest, *(one for one in found if one[0] <= before)])
        if looked_at >= MOST_LOOKED_AT:
            break
        beat()
    return [name for _, name in latest]

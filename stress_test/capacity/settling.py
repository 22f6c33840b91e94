"""Between two turns the service finishes what the last one left in it."""

from __future__ import annotations

import time

from stress_test.service import wait_for_empty_queue

BATCH_IN_HAND_S = 0.5


def settle(url: str) -> None:
    """Wait until the queue of the service at ``url`` is empty and its workers' last batches are done.

    Raises:
        CannotMeasure: the queue does not become empty.
    """
    wait_for_empty_queue(url)
    time.sleep(BATCH_IN_HAND_S)

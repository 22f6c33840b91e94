"""Waiting until parts are ready, for as long as they live."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from contract.redis_clients import connect
from local.queue_users import health_url
from local.supervisor import PartDied

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.supervisor import Supervisor

READY_WITHIN_S = 120.0
LOOK_EVERY_S = 0.1


def wait_for(supervisor: Supervisor, condition: Callable[[], bool], reason: Callable[[], str] = lambda: "") -> None:
    """Wait until ``condition()`` holds.

    Args:
        reason: what is known of why it does not; asked at the end only.

    Raises:
        PartDied: a process ended meanwhile, or the condition did not hold within ``READY_WITHIN_S`` seconds.
    """
    deadline = time.monotonic() + READY_WITHIN_S
    while not condition():
        supervisor.check()
        if time.monotonic() > deadline:
            why = reason()
            raise PartDied(f"the service was not ready within {READY_WITHIN_S:.0f} s{': ' if why else ''}{why}")
        time.sleep(LOOK_EVERY_S)


def answers(socket: Path) -> bool:
    """Whether Valkey serves; while it is still reading a long log its socket exists, but it refuses every command."""
    try:
        with connect(health_url(socket)) as client:
            return bool(client.ping())
    except RedisError:
        return False

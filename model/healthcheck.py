"""``python -m model.healthcheck``: is the worker of this container registered? Exit code 0 or 1.

A worker registers once its model is verified, and then sends a heartbeat every second for as long as it reaches Redis.
The API counts on the same registry.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from contract.redis_address import read_password, with_password
from contract.worker_registry import live_workers

TIMEOUT_S = 3.0


def is_at_work(redis: Redis, host: str) -> bool:
    """Whether a live worker says that it runs on ``host``; a container has a host name of its own.

    Raises:
        RedisError: Redis does not answer.
    """
    return any(entry.host == host for entry in live_workers(redis))


def redis_address() -> str:
    """As ``redis_address`` of the settings: reading those would double the time of a check that runs all day.

    Raises:
        OSError: the password's file can't be read.
        ValueError: there is no password in it.
    """
    url = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"
    path = os.environ.get("REDIS_PASSWORD_FILE")
    return with_password(url, read_password(Path(path)) if path else os.environ.get("REDIS_PASSWORD", ""))


def main() -> int:
    try:
        # No ``driver_info``: that would be commands which a worker's user may not send.
        redis = Redis.from_url(
            redis_address(), socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, driver_info=None
        )
        at_work = is_at_work(redis, socket.gethostname())
    except (OSError, ValueError) as error:
        print(f"The password of Redis can't be read: {error}")  # noqa: T201  as below
        return 1
    except RedisError as error:
        print(f"Redis does not answer: {error}")  # noqa: T201  the engine keeps it with the check's result
        return 1
    if not at_work:
        print("no live worker of this host is registered")  # noqa: T201
    return not at_work


if __name__ == "__main__":
    sys.exit(main())

"""Redis clients with the time limits that the two kinds of use need, and the one translation of Redis' errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, WatchError
from redis.retry import Retry

from contract.errors import BackendDown

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND_TIMEOUT_S = 5.0
LONGEST_BLOCK_S = 5.0  # longer waits are made of several, with a look between them whether there is still hope
CONNECT_TIMEOUT_S = 2.0
MAX_CONNECTIONS = (
    10_000  # RQ's and redis-py's usual 100 would refuse the 101st waiting request; Redis' own limit is 10,000
)

# ``driver_info=None``: redis-py else looks its own version up in the installed packages for every connection, to tell
# Redis. That was 1.9 of the 2.3 ms of processor time that a connection cost, and a thousand waiting requests need two
# thousand of them.


def connect(url: str) -> Redis:
    """A client for commands that answer at once. One retry covers a connection that Redis closed meanwhile."""
    return Redis.from_url(
        url,
        socket_timeout=COMMAND_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        max_connections=MAX_CONNECTIONS,
        driver_info=None,
    )


def connect_for_waiting(url: str) -> Redis:
    """A client for blocking reads of up to ``LONGEST_BLOCK_S`` seconds.

    It never retries by itself: redis-py would start the whole wait again, and a deadline would become several.
    """
    return Redis.from_url(
        url,
        socket_timeout=LONGEST_BLOCK_S + COMMAND_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        max_connections=MAX_CONNECTIONS,
        driver_info=None,
    )


@contextmanager
def redis_errors(what_fails: str = "Redis does not answer") -> Iterator[None]:
    """Translate what redis-py raises while the context lasts.

    A ``WatchError`` passes: it is how a compare-and-set learns that it has to begin anew.

    Raises:
        BackendDown: Redis is away, hangs or refuses; the message begins with ``what_fails``.
    """
    try:
        yield
    except WatchError:
        raise
    except RedisError as error:
        raise BackendDown(f"{what_fails}: {error}") from error

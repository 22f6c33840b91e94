"""Redis clients with the timeouts that the two kinds of use need, and the one translation of Redis' errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, RedisError, WatchError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from contract.errors import BackendDown
from contract.primary_connection import connection_class
from contract.shrinking_pool import ShrinkingPool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

COMMAND_TIMEOUT_S = 5.0
LONGEST_BLOCK_S = 5.0  # longer waits are split, with a check between the parts whether the job still exists
CONNECT_TIMEOUT_S = 2.0
MAX_CONNECTIONS = (
    10_000  # RQ's and redis-py's usual 100 would refuse the 101st waiting request; Redis' own limit is 10,000
)

# Otherwise redis-py asks on every TCP connection for notifications that only some hosted Redis sends: a round trip, and
# a command that our users may not send.
NO_NOTIFICATIONS = MaintNotificationsConfig(enabled=False)

# ``driver_info=None``: otherwise redis-py looks up its own version in the installed packages for every connection, to
# report it to Redis. That was 1.9 of the 2.3 ms of processor time that a connection cost, and a thousand waiting
# requests need two thousand of them.


def connect(url: str) -> Redis:
    """A client for commands that return at once. One retry covers a connection that Redis has closed meanwhile."""
    pool = ShrinkingPool.from_url(
        url,
        connection_class=connection_class(url),
        socket_timeout=COMMAND_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        max_connections=MAX_CONNECTIONS,
        driver_info=None,
        maint_notifications_config=NO_NOTIFICATIONS,
    )
    return Redis.from_pool(pool)


def connect_for_waiting(url: str) -> Redis:
    """A client for blocking reads of up to ``LONGEST_BLOCK_S`` seconds.

    It never retries by itself: redis-py would start the whole wait again, and one deadline would become several.
    """
    pool = ShrinkingPool.from_url(
        url,
        connection_class=connection_class(url),
        socket_timeout=LONGEST_BLOCK_S + COMMAND_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        max_connections=MAX_CONNECTIONS,
        driver_info=None,
        maint_notifications_config=NO_NOTIFICATIONS,
    )
    return Redis.from_pool(pool)


@contextmanager
def redis_errors(what_fails: str = "Redis does not answer") -> Iterator[None]:
    """Translate what redis-py raises while the context lasts.

    A ``WatchError`` passes through: it tells a compare-and-set to start again.

    Raises:
        BackendDown: Redis is down, hangs or refuses; the message is ``what_fails``.
    """
    try:
        yield
    except WatchError:
        raise
    except RedisError as error:
        raise BackendDown(what_fails, cause=str(error)) from error


def raise_refusals(replies: Iterable[object]) -> None:
    """Raise the first refusal among a pipeline's replies; other errors there are what somebody has written into a key.

    Raises:
        NoPermissionError: Redis does not let this side see a key, which says nothing about what it holds.
    """
    for reply in replies:
        if isinstance(reply, NoPermissionError):
            raise reply

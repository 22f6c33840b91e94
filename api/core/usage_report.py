"""What all senders have used today, for the operator: as Redis has it, so nearly, and of all processes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.core.quotas import DAY, Unit
from api.core.usage import ADDRESSES, KEYS
from contract import keys
from contract.redis_clients import redis_errors

if TYPE_CHECKING:
    from redis import Redis

    from contract.send_too import SendToo

MOST_ADDRESSES = 20  # by each of what is counted


@dataclass(frozen=True, slots=True)
class Used:
    """What one sender has used in a day; ``refused`` are requests that were over its limits."""

    name: str
    requests: int
    bytes: int
    refused: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Those who sent most come first.

    Attributes:
        day: as in 2026-01-31, in UTC.
        keys: all that were used.
        addresses: those without a key that sent most requests or bytes, or were refused most often.
    """

    day: str
    keys: tuple[Used, ...]
    addresses: tuple[Used, ...]


class UsageReports:
    """Reads them.

    Args:
        send_too: adds what this process has counted and not sent yet.
    """

    def __init__(self, redis: Redis, send_too: SendToo) -> None:
        self._redis = redis
        self._send_too = send_too

    def today(self) -> UsageReport:
        """Raises BackendDown: Redis does not answer."""
        now = time.time()
        window = DAY.numbered(DAY.index(now))
        with redis_errors():
            self._tell()
            of_keys = self._largest(KEYS, window, -1)
            of_addresses = self._largest(ADDRESSES, window, MOST_ADDRESSES - 1)
        day = time.strftime("%Y-%m-%d", time.gmtime(now))
        return UsageReport(day, of_keys, of_addresses)

    def _tell(self) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            told, replies = self._send_too(pipe), []
            try:
                replies = pipe.execute(raise_on_error=False)
            finally:
                told(replies)

    def _largest(self, senders: str, window: str, last: int) -> tuple[Used, ...]:
        sets = [keys.usage(senders, window, unit.name.lower()) for unit in Unit]
        with self._redis.pipeline(transaction=False) as pipe:
            for key in sets:
                pipe.zrevrange(key, 0, last)
            found: list[Any] = pipe.execute(raise_on_error=False)
        names = list(dict.fromkeys(name for reply in found if isinstance(reply, list) for name in reply))
        if not names:
            return ()
        with self._redis.pipeline(transaction=False) as pipe:
            for key in sets:
                pipe.zmscore(key, names)
            scores: list[Any] = pipe.execute(raise_on_error=False)
        columns = [reply if isinstance(reply, list) else [0] * len(names) for reply in scores]
        used = [
            Used(name.decode(errors="replace"), *(int(score or 0) for score in row))
            for name, *row in zip(names, *columns, strict=True)
        ]
        return tuple(sorted(used, key=lambda one: (-one.requests, one.name)))

"""Connections to the server that takes writes. After a failover, one that still leads to the old server is given up."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from redis.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ExecAbortError, MasterDownError, ReadOnlyError, ResponseError


class NotPrimaryError(RedisConnectionError):
    """The server is a replica now, or has just become one: whoever connects anew finds the one that took its place."""


class _ToPrimary(AbstractConnection):
    """redis-py takes what a replica says for an ordinary refusal, and goes on using the connection.

    Here it ends the connection, and is what a connection that was closed is: something that is tried again, or waited
    out. Nothing was written: a replica refuses a MULTI as a whole.
    """

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)
        except ResponseError as error:
            if not _is_of_replica(error):
                raise
            self.disconnect()  # type: ignore[no-untyped-call]
            raise NotPrimaryError(f"this server takes no writes (any more): {error}") from error


class _TcpToPrimary(_ToPrimary, Connection):
    pass


class _TlsToPrimary(_ToPrimary, SSLConnection):
    pass


class _SocketToPrimary(_ToPrimary, UnixDomainSocketConnection):
    pass


def connection_class(url: str) -> type[AbstractConnection]:
    """For an address as ``redis_address`` has it; what is none redis-py refuses."""
    of_scheme = {"rediss": _TlsToPrimary, "unix": _SocketToPrimary}
    return of_scheme.get(urlsplit(url).scheme, _TcpToPrimary)


def _is_of_replica(error: ResponseError) -> bool:
    """Whether only a replica says this: to a write, to an EXEC, or to who was blocked when it became one."""
    if isinstance(error, ExecAbortError):
        return "read only replica" in str(error)
    return isinstance(error, ReadOnlyError | MasterDownError) or str(error).startswith("UNBLOCKED ")

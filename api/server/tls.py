"""A client's encrypted connection, which gunicorn and the views use like a plain one."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from socket import SHUT_RD
from ssl import SSLWantReadError
from typing import TYPE_CHECKING, Any

from gevent.socket import socket
from gevent.ssl import SSLContext, SSLSocket

from api.http.sign import Sign
from api.server.connection import Counting

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD_BYTES = 16_384  # the most that TLS sends in one piece


class LookingAhead(SSLSocket):  # type: ignore[misc]  # gevent's is not typed
    """One that can be looked at, and that says good-bye."""

    _ahead = b""  # of the next request: what a look had to decrypt to know what it is

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        if self._ahead:
            data, self._ahead = self._ahead[:buflen], self._ahead[buflen:]
            return data
        received: bytes = super().recv(buflen, flags)
        return received

    def look(self) -> Sign:
        """What the other end does. Bytes alone don't tell: a good-bye takes some, and TLS has others of its own."""
        try:
            with self._not_waiting():
                self._ahead += self.read(RECORD_BYTES)
        except SSLWantReadError:
            return Sign.SILENT
        except OSError:  # reset, or what came is no TLS
            return Sign.GONE
        return Sign.SPEAKS if self._ahead else Sign.GONE

    def shutdown(self, how: int) -> None:
        """After the end of one's own sending, what still comes is not decrypted any more."""
        if how == SHUT_RD:
            socket.shutdown(self, how)  # gevent's SSLSocket would send an answer unencrypted after it
            return
        self._say_good_bye()
        self._ahead = b""
        super().shutdown(how)

    def close(self) -> None:
        """Without a good-bye a client can't tell the end of an answer from one that somebody has cut off."""
        self._say_good_bye()
        super().close()

    def _say_good_bye(self) -> None:
        with suppress(OSError, ValueError), self._not_waiting():  # ValueError: there is no encryption any more, or yet
            self.unwrap()

    @contextmanager
    def _not_waiting(self) -> Iterator[None]:
        timeout = self.gettimeout()
        self.settimeout(0)
        try:
            yield
        finally:
            self.settimeout(timeout)


class TlsConnection(Counting, LookingAhead):
    """The bound of a head holds for what is decrypted."""


class TlsContext(SSLContext):  # type: ignore[misc]  # gevent's is not typed
    """What the API proves itself with, and how it encrypts."""

    sslsocket_class = TlsConnection

    def wrap_socket(self, client: socket, **_: Any) -> socket:
        """``client`` as it is: gevent's server calls this before anybody has counted the connection."""
        return client

    def connection(self, client: socket) -> TlsConnection:
        """``client``, which it takes over, as an encrypted connection that has still to shake hands.

        Raises:
            OSError: the client has gone already; ``client`` is still the caller's to close.
        """
        connection: TlsConnection = super().wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        return connection

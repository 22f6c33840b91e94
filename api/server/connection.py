"""A client's unencrypted connection, and what every connection counts."""

from __future__ import annotations

import _socket  # gevent has not replaced what is in here: a look must not wait, and in the hub it can't
from typing import Any

from gevent.socket import socket
from gunicorn.http import errors

from api.http.sign import Sign

HEAD_BYTES = 32_768  # of one request: many connections may be in the middle of theirs


class Counting:
    """Counts what comes, for the bound of a head; stands before the socket's class.

    Attributes:
        received: bytes that came since the last request was answered.
        awaits_head: whether the next request's head is not complete.
    """

    received = 0
    awaits_head = True

    def recv(self, *args: Any) -> bytes:
        """Raises LimitRequestHeaders: the bytes are more than a head may have."""
        data: bytes = super().recv(*args)  # type: ignore[misc]  # the socket's
        self.received += len(data)
        if self.awaits_head and self.received > HEAD_BYTES:
            raise errors.LimitRequestHeaders(f"more than {HEAD_BYTES} bytes")
        return data


class Connection(Counting, socket):  # type: ignore[misc]  # gevent's is not typed
    def look(self) -> Sign:
        """What the other end does; takes nothing off the connection."""
        connection = _socket.socket(fileno=self.fileno())
        try:
            return Sign.SPEAKS if connection.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT) else Sign.GONE
        except BlockingIOError:
            return Sign.SILENT
        except OSError:  # reset
            return Sign.GONE
        finally:
            connection.detach()

"""Closing a connection so that its client can still read the answer: with bytes unread, it would be reset instead."""

from __future__ import annotations

import socket
from contextlib import suppress

from gevent import Timeout

PIECE_BYTES = 256 * 1024
LINGER_S = 2.0


def linger(connection: socket.socket) -> None:
    """End a connection on which there is no next request to be found, and read for a while what still comes."""
    with suppress(OSError), Timeout(LINGER_S, False):  # gevent's word: silently
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(PIECE_BYTES):
            pass
    stop_reading(connection)


def stop_reading(connection: socket.socket) -> None:
    """Read nothing more from a connection; what is being sent still arrives."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)

"""Clients that harm: slow ones, and such as vanish. They have an address of their own."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

ADDRESS = "127.0.2.1"
TIMEOUT_S = 5.0
PHOTO = b'--photo\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n\r\n%s\r\n--photo--\r\n'


def slow(url: str, number: int, *, pause_s: float, pieces: int) -> None:
    """``number`` uploads at once, each a byte every ``pause_s``, ``pieces`` times; then they are gone."""
    with ExitStack() as connections:
        sockets = [connections.enter_context(_connected(url)) for _ in range(number)]
        for client in sockets:
            _send(client, _head(url, 1_000_000))
        for _ in range(pieces):
            time.sleep(pause_s)
            for client in sockets:
                _send(client, b"x")


def vanish_in_the_body(url: str, photos: Sequence[bytes]) -> None:
    for photo in photos:
        with _connected(url) as client:
            _send(client, _head(url, 2 * len(photo)) + photo)


def vanish_while_waiting(url: str, photos: Sequence[bytes]) -> None:
    with ExitStack() as connections:
        for photo in photos:
            body = PHOTO % photo
            client = connections.enter_context(_connected(url))
            _send(client, _head(url, len(body)) + body)


def _connected(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port or 80), TIMEOUT_S, source_address=(ADDRESS, 0))


def _send(client: socket.socket, data: bytes) -> None:
    with suppress(OSError):  # it may have been closed, which is the service's right
        client.sendall(data)


def _head(url: str, length: int) -> bytes:
    return (
        f"POST /predict HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
        f"Content-Type: multipart/form-data; boundary=photo\r\nContent-Length: {length}\r\n\r\n"
    ).encode()

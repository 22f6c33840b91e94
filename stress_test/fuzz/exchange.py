"""Sends one input over a connection of its own and reads what comes back."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stress_test.fuzz.shape import Shape

ANSWER_WITHIN_S = 40.0  # the service's deadline, and a margin
PATIENCE_S = 5.0  # an unfinished request may be waited for; then its sender says that no more comes
NO_ANSWER, CLOSED, GARBLED = 0, -1, -2
SENDERS = 50  # addresses, so that a bound by sender does not turn all of them away


@dataclass(frozen=True, slots=True)
class Reply:
    """``status`` is HTTP's, or one of the three above; ``ms`` from the first byte sent."""

    status: int
    ms: float
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def exchange(url: str, number: int, shape: Shape) -> Reply:
    address = urlsplit(url)
    began = time.perf_counter()

    def since_ms() -> float:
        return (time.perf_counter() - began) * 1000

    source = (f"127.0.1.{1 + number % SENDERS}", 0)
    with socket.create_connection((address.hostname, address.port or 80), ANSWER_WITHIN_S, source) as client:
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have answered before it has read all
                client.sendall(shape.raw)
            if not shape.whole:
                _wait_or_end(client)
            head = shape.raw.startswith(b"HEAD ")  # its answer has no body, whatever its head says
            response = http.client.HTTPResponse(client, method="HEAD" if head else "POST")
            response.begin()
            return Reply(response.status, since_ms(), dict(response.getheaders()), response.read())
        except TimeoutError:
            return Reply(NO_ANSWER, since_ms())
        except (http.client.RemoteDisconnected, ConnectionError):
            return Reply(CLOSED, since_ms())
        except http.client.HTTPException as error:
            return Reply(GARBLED, since_ms(), body=repr(error).encode())


def _wait_or_end(client: socket.socket) -> None:
    client.settimeout(PATIENCE_S)
    try:
        client.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
    finally:
        client.settimeout(ANSWER_WITHIN_S)

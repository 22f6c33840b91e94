"""One request to the camera and its answer, within bounds whatever the camera sends.

The time is bounded by whoever waits: what blocks here blocks one greenlet, whether or not the process is patched.
"""

from __future__ import annotations

from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from io import BufferedReader, RawIOBase
from ssl import PROTOCOL_TLS_CLIENT, SSLCertVerificationError, SSLError, TLSVersion
from typing import TYPE_CHECKING, Any, cast

from gevent import sleep
from gevent.socket import create_connection
from gevent.ssl import SSLContext

from api.core.errors import CameraFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gevent.socket import socket

    from api.core.camera.address import CameraAddress

PIECE_BYTES = 65_536
LINES_BYTES = 2048  # of lines that are read between two turns of others
HEAD_BYTES = 65_536  # and what frames the chunks of a body


def tls_context() -> SSLContext:
    """With the authorities that this machine trusts, or those of ``SSL_CERT_FILE``."""
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    context.minimum_version = TLSVersion.TLSv1_2
    context.load_default_certs()
    return context


@contextmanager
def answer_of(
    address: CameraAddress, target: str, headers: Mapping[str, str], *, tls: SSLContext | None, most_bytes: int
) -> Iterator[HTTPResponse]:
    """Ask the camera; its answer's head is there, and its body can be read while the context lasts.

    Args:
        target: path and query; host and port are those of ``address``, whatever it says.
        tls: None for a camera that speaks plain HTTP.
        most_bytes: of the body.

    Raises:
        CameraFailed: it can't be reached, or its answer ends too early or is no HTTP; in the context, too.
    """
    with _connected(address, tls) as connected:
        connection = HTTPConnection(address.host, address.port)
        connection.auto_open = 0  # there is this one connection, and never another
        connection.sock = cast("Any", _Bounded(connected, 2 * most_bytes + HEAD_BYTES))
        try:
            connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            yield connection.getresponse()
        except (OSError, HTTPException) as error:
            raise CameraFailed("the camera's answer broke off, or is not HTTP", "broken_off") from error


def body_of(answer: HTTPResponse, most_bytes: int) -> bytes:
    """An answer's body, counted as it comes.

    Raises:
        CameraFailed: it has more than ``most_bytes``, or fewer than were announced.
        OSError, HTTPException: the connection failed.
    """
    announced = answer.length
    too_large = CameraFailed(f"the camera's answer is too large: at most {most_bytes} bytes are taken", "too_large")
    if announced is not None and announced > most_bytes:
        raise too_large
    pieces, received = [], 0
    while piece := answer.read(PIECE_BYTES):
        pieces.append(piece)
        received += len(piece)
        if received > most_bytes:
            raise too_large
    if received < (1 if announced is None else announced):  # a head that broke off is taken for a whole one
        raise CameraFailed(f"the camera's answer broke off after {received} bytes", "broken_off")
    return b"".join(pieces)


@contextmanager
def _connected(address: CameraAddress, tls: SSLContext | None) -> Iterator[socket]:
    """Raises CameraFailed."""
    try:
        connected = create_connection((address.host, address.port))
    except OSError as error:
        raise CameraFailed(f"the camera can't be reached: {error.strerror}", "unreachable") from error
    with connected:
        if tls is None:
            yield connected
            return
        with _encrypted(connected, tls, address.host) as encrypted:
            yield encrypted


def _encrypted(connected: socket, tls: SSLContext, host: str) -> Any:
    try:
        return tls.wrap_socket(connected, server_hostname=host)
    except SSLCertVerificationError as error:
        raise CameraFailed(f"the camera's certificate is not trusted: {error.verify_message}", "untrusted") from error
    except SSLError as error:
        raise CameraFailed(f"the camera speaks no TLS: {error.reason}", "untrusted") from error
    except OSError as error:
        raise CameraFailed(f"the camera can't be reached: {error.strerror}", "unreachable") from error


class _Bounded:
    """What ``http.client`` needs of a socket. Whoever has opened it closes it: ``http.client`` does before the body."""

    def __init__(self, connected: socket, most_bytes: int) -> None:
        self._connected = connected
        self._most_bytes = most_bytes

    def sendall(self, data: bytes) -> None:
        self._connected.sendall(data)

    def makefile(self, _mode: str) -> BufferedReader:
        return BufferedReader(_Received(self._connected, self._most_bytes), LINES_BYTES)

    def close(self) -> None:
        """Nothing yet."""


class _Received(RawIOBase):
    """Bytes as they come, so many at most; a camera that sends without pause keeps nobody else from their turn."""

    def __init__(self, connected: socket, most_bytes: int) -> None:
        super().__init__()
        self._connected = connected
        self._left = most_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        sleep(0)
        size = int(self._connected.recv_into(buffer))
        self._left -= size
        if self._left < 0:
            raise CameraFailed("the camera's answer is too large, and no picture", "too_large")
        return size

"""A camera's adapter on this machine, whose answers a test writes down byte by byte."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import TYPE_CHECKING, Self

from tests.support import certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TLS_HELLO = 0x16
GIVE_UP_S = 30  # of a test that has failed


class AdaptedCamera:
    """Answers each connection with the next act, and with the last one from then on.

    Attributes:
        heads: of the requests that have come.
        closing: set when the test is over: acts that wait for nothing else wait for that.
    """

    def __init__(self, *acts: Callable[[Self, socket.socket], None], host: str = "127.0.0.1") -> None:
        self.acts = list(acts)
        self.tls: SSLContext | None = None
        self.heads: list[str] = []
        self.closing = threading.Event()
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.host, self.port = host, self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}/snapshot"

    def encrypt(self, folder: Path) -> None:
        """Speak TLS from now on, with a certificate that is ``tls.pem`` in the folder."""
        pair = certificate.make(folder)
        self.tls = SSLContext(PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(pair.cert_file, pair.key_file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # so that nobody is waiting in accept any more
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connected, _ = self._listener.accept()
                act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
                threading.Thread(target=self._answer, args=(connected, act), daemon=True).start()

    def _answer(self, connected: socket.socket, act: Callable[[Self, socket.socket], None]) -> None:
        connected.settimeout(GIVE_UP_S)
        with suppress(OSError):
            if self.tls is not None:
                connected = self.tls.wrap_socket(connected, server_side=True)
            with connected:
                self.heads.append(_head(connected))
                act(self, connected)


def sends(*pieces: bytes) -> Callable[[AdaptedCamera, socket.socket], None]:
    def act(_camera: AdaptedCamera, connected: socket.socket) -> None:
        for piece in pieces:
            connected.sendall(piece)

    return act


def sends_on(pieces: Callable[[], Iterator[bytes]]) -> Callable[[AdaptedCamera, socket.socket], None]:
    """Piece after piece until there is none, or the other side has closed."""

    def act(_camera: AdaptedCamera, connected: socket.socket) -> None:
        for piece in pieces():
            connected.sendall(piece)

    return act


def sends_and_is_silent(*pieces: bytes) -> Callable[[AdaptedCamera, socket.socket], None]:
    def act(camera: AdaptedCamera, connected: socket.socket) -> None:
        sends(*pieces)(camera, connected)
        camera.closing.wait(GIVE_UP_S)

    return act


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """An answer as HTTP has it, with a length that may be wrong."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode() + body


def _head(connected: socket.socket) -> str:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connected.recv(1)
        head += piece
        if not piece or head[0] == TLS_HELLO:
            break
    return head.decode("latin-1")

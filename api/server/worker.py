"""gunicorn's gevent worker, with bounds on connections and heads, and errors in the API's one shape."""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from gevent import GreenletExit, Timeout
from gevent.socket import socket
from gunicorn.http import errors
from gunicorn.workers.ggevent import GeventWorker

from api.http.linger import linger
from api.http.problem_document import CONTENT_TYPE, problem_body
from api.http.security_headers import DATA_POLICY
from api.server.peers import Peers

if TYPE_CHECKING:
    from gunicorn.http.message import Request

REFUSED_AT_A_TIME = 50  # connections of one peer over its share that are told why; the others are just closed
SHOWN_CHARACTERS = 200  # of what a sender wrote, in a log
HEAD_BYTES = 32_768  # of one request: many connections may be in the middle of theirs
RETRY_AFTER_S = 1  # for a connection that is one too many: another one may close at any time

STATUS: dict[type[Exception], tuple[HTTPStatus, str]] = {
    errors.LimitRequestLine: (HTTPStatus.REQUEST_URI_TOO_LONG, "the request's first line is too long"),
    errors.LimitRequestHeaders: (
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "the request has too many headers, or too long ones",
    ),
    errors.ExpectationFailed: (
        HTTPStatus.EXPECTATION_FAILED,
        "this service knows no expectation other than 100-continue",
    ),
    errors.UnsupportedTransferCoding: (
        HTTPStatus.NOT_IMPLEMENTED,
        "this service knows no transfer coding other than chunked",
    ),
    errors.ParseException: (HTTPStatus.BAD_REQUEST, "this is not a request as HTTP has it"),
}


class SlowHead(Exception):
    """A request's head was not complete in time, or none came."""


class Connection(socket):  # type: ignore[misc]  # gevent's is not typed
    """A client's connection.

    Attributes:
        received: bytes that came since the last request was answered.
        awaits_head: whether the next request's head is not complete.
    """

    received = 0
    awaits_head = True

    def recv(self, *args: Any) -> bytes:
        """Raises LimitRequestHeaders: the bytes are more than a head may have."""
        data: bytes = super().recv(*args)
        self.received += len(data)
        if self.awaits_head and self.received > HEAD_BYTES:
            raise errors.LimitRequestHeaders(f"more than {HEAD_BYTES} bytes")
        return data


class BoundedWorker(GeventWorker):  # type: ignore[misc]  # gunicorn is not typed
    def load_wsgi(self) -> None:
        super().load_wsgi()
        settings = self.wsgi.extensions["services"].settings
        self._metrics = self.wsgi.extensions["metrics"]
        self._connections_per_peer = min(settings.connections_per_peer, settings.max_in_flight)
        self._peers = Peers(settings.trusted_proxies)

    def handle(self, listener: Any, client: socket, addr: Any) -> None:
        """Serve one connection to its end, unless its peer has its share of them already."""
        connection = Connection(client.family, client.type, client.proto, fileno=client.detach())
        with self._metrics.connection_open(), self._peers.connection(addr[0] if addr else "") as number:
            if number <= self._connections_per_peer:
                super().handle(listener, connection, addr)
                return
            self._metrics.count_refused_connection()
            with connection:
                if number <= self._connections_per_peer + REFUSED_AT_A_TIME:
                    detail = "there are too many open connections from this address"
                    _answer(connection, HTTPStatus.TOO_MANY_REQUESTS, detail, f"Retry-After: {RETRY_AFTER_S}\r\n")

    def handle_request(self, listener_name: Any, req: Request, sock: Connection, addr: Any) -> None:
        sock.awaits_head = False
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.received, sock.awaits_head = 0, True

    def timeout_ctx(self) -> Timeout:
        """For an idle connection and the head of its next request together."""
        return Timeout(self.cfg.keepalive, SlowHead)

    def handle_error(self, _req: Request | None, client: Connection, _addr: Any, exc: BaseException) -> None:
        """Answer what never became a request of the application's; gunicorn itself would answer in HTML."""
        if isinstance(exc, GreenletExit):
            return  # the process stops
        if isinstance(exc, SlowHead):
            if client.received:
                late = f"the request's head did not arrive within {self.cfg.keepalive} s"
                _answer(client, HTTPStatus.REQUEST_TIMEOUT, late)
            return
        for kind, (status, detail) in STATUS.items():
            if isinstance(exc, kind):
                self.log.warning("not a request: %s: %.*r", type(exc).__name__, SHOWN_CHARACTERS, str(exc))
                _answer(client, status, detail)
                return
        self.log.error("the server failed at a request", exc_info=exc)
        _answer(client, HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed at this request")


def _answer(connection: socket, status: HTTPStatus, detail: str, headers: str = "") -> None:
    body = json.dumps(problem_body(status, detail)).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: {DATA_POLICY}\r\n"
        f"{headers}Connection: close\r\n\r\n"
    )
    with suppress(OSError):
        connection.sendall(head.encode() + body)
    linger(connection)

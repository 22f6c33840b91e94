"""gunicorn's gevent worker, with bounds on connections and heads, and errors in the API's one shape."""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus
from ssl import SSLError
from typing import TYPE_CHECKING, Any

from gevent import GreenletExit, Timeout
from gunicorn.http import errors
from gunicorn.sock import ssl_context
from gunicorn.workers.ggevent import GeventWorker

from api.core.sender_names import name_of
from api.http.linger import linger
from api.http.problem_document import CONTENT_TYPE, problem_body
from api.http.request_id import HEADER as REQUEST_ID
from api.http.request_id import new_request_id
from api.http.request_log import write_no_request, write_request
from api.http.security_headers import DATA_POLICY
from api.server.connection import Connection
from api.server.listener import Listener
from api.server.peers import Peers

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIEnvironment

    from gevent.socket import socket
    from gunicorn.http.message import Request
    from gunicorn.http.wsgi import Response

    from api.server.tls import TlsConnection, TlsContext

REFUSED_AT_A_TIME = 50  # connections of one peer over its share that are told why; the others are just closed
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


class SlowHandshake(Exception):
    """A client has connected and does not get on with TLS."""


class BoundedWorker(GeventWorker):  # type: ignore[misc]  # gunicorn is not typed
    server_class = Listener

    @property
    def wsgi_handler(self) -> Callable[..., None]:
        """What gunicorn hands to ``server_class``."""
        return self.handle

    def load_wsgi(self) -> None:
        super().load_wsgi()
        settings = self.wsgi.extensions["services"].settings
        self._metrics = self.wsgi.extensions["metrics"]
        self._connections_per_peer = min(settings.connections_per_peer, settings.max_in_flight)
        self._peers = Peers(settings.trusted_proxies)
        self._tls: TlsContext | None = ssl_context(self.cfg) if self.cfg.is_ssl else None
        self.cfg.set("post_request", _log_request)  # here: the main process must not hold what it needs

    def handle(self, listener: Any, client: socket, addr: Any) -> None:
        """Serve one connection to its end, unless its peer has its share of them already."""
        with self._metrics.connection_open(), self._peers.connection(addr[0] if addr else "") as number:
            if number > self._connections_per_peer:
                self._metrics.count_refused_connection()
                if number <= self._connections_per_peer + REFUSED_AT_A_TIME and self._tls is None:
                    detail = "there are too many open connections from this address"
                    with _plain(client) as refused:
                        retry_after = f"Retry-After: {RETRY_AFTER_S}\r\n"
                        _answer(refused, addr, HTTPStatus.TOO_MANY_REQUESTS, detail, retry_after)
                return
            connection = _plain(client) if self._tls is None else self._encrypted(client, addr, self._tls)
            if connection is not None:
                super().handle(listener, connection, addr)

    def _encrypted(self, client: socket, addr: Any, tls: TlsContext) -> TlsConnection | None:
        """``client`` after its handshake, or None if it comes to none in time."""
        try:
            connection = tls.connection(client)
        except OSError:  # it has gone already
            return None
        try:
            with Timeout(self.cfg.keepalive, SlowHandshake):
                connection.do_handshake()
                return connection
        except SSLError as error:
            self.log.info("no TLS: %s", error.reason)
            if error.reason == "HTTP_REQUEST":
                with _plain(connection) as plain:
                    https = "this port speaks HTTPS: the address begins with https://"
                    _answer(plain, addr, HTTPStatus.BAD_REQUEST, https)
        except (OSError, SlowHandshake):  # it has gone, or says nothing
            pass
        connection.close()
        return None

    def handle_request(self, listener_name: Any, req: Request, sock: Connection | TlsConnection, addr: Any) -> None:
        sock.awaits_head = False
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.received, sock.awaits_head = 0, True

    def timeout_ctx(self) -> Timeout:
        """For an idle connection and the head of its next request together."""
        return Timeout(self.cfg.keepalive, SlowHead)

    def handle_error(
        self, _req: Request | None, client: Connection | TlsConnection, addr: Any, exc: BaseException
    ) -> None:
        """Answer what never became a request of the application's; gunicorn itself would answer in HTML."""
        if isinstance(exc, GreenletExit):
            return  # the process stops
        if isinstance(exc, SlowHead):
            if client.received:
                late = f"the request's head did not arrive within {self.cfg.keepalive} s"
                _answer(client, addr, HTTPStatus.REQUEST_TIMEOUT, late)
            return
        if isinstance(exc, SSLError):
            self.log.info("the connection's TLS ended: %s", exc.reason)
            return
        for kind, (status, detail) in STATUS.items():
            if isinstance(exc, kind):
                self.log.warning("not a request: %s", type(exc).__name__)  # in its words there may stand a key
                _answer(client, addr, status, detail)
                return
        self.log.error("the server failed at a request", exc_info=exc)
        _answer(client, addr, HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed at this request")


def _log_request(
    _worker: BoundedWorker, _request: Request, environ: WSGIEnvironment, response: Response | None
) -> None:
    """Write the request's line; what raised before there was an answer is answered, and logged, as no request."""
    if response is not None and response.status is not None:
        received = environ["gunicorn.socket"].received
        write_request(environ, status=response.status_code, bytes_in=received, bytes_out=response.sent)


def _plain(client: socket) -> Connection:
    return Connection(client.family, client.type, client.proto, fileno=client.detach())


def _answer(
    connection: Connection | TlsConnection, addr: Any, status: HTTPStatus, detail: str, headers: str = ""
) -> None:
    connection.awaits_head = False  # whatever still comes is read and thrown away
    request_id = new_request_id()
    body = json.dumps(problem_body(status, detail)).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: {DATA_POLICY}\r\n"
        f"{REQUEST_ID}: {request_id}\r\n{headers}Connection: close\r\n\r\n"
    )
    with suppress(OSError):
        connection.sendall(head.encode() + body)
    linger(connection)
    write_no_request(
        status.value,
        bytes_in=connection.received,
        bytes_out=len(body),
        request_id=request_id,
        sender=name_of(addr[0]) if addr else "-",
    )

"""Connections as hostile and clumsy peers open them, to the API as gunicorn runs it."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING

import pytest
import requests

from tests.support.api import Api
from tests.support.workers import ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Server

TIMEOUT_S = 60
PER_PEER = 6
PROXY = "127.0.0.9"  # of this machine's own addresses, the one that plays the trusted proxy
OPEN = "classifier_connections", frozenset[tuple[str, str]]()
REFUSED = "classifier_refused_connections_total", frozenset[tuple[str, str]]()


@pytest.fixture(scope="module")
def api(valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    workers = ScriptedWorkers(valkey, folder)
    workers.start()
    settings = {
        "CONNECTIONS_PER_PEER": str(PER_PEER),
        "TRUSTED_PROXIES": PROXY,
        "LOG_MESSAGES_PER_S": "2",
        "ALLOWED_HOSTS": "here",
    }
    with Api(valkey.api_url, folder, processes=1, **settings) as api:
        yield api
    workers.close()


@pytest.fixture(autouse=True)
def no_connections_of_before(api: Api) -> None:
    eventually(lambda: api.samples()[OPEN] == 1, "only the scrape's own connection is open")


def connect(api: Api, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(api.address, timeout=TIMEOUT_S, source_address=(source, 0))


def everything(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of what comes until the other end closes."""
    head, _, body = b"".join(iter(partial(connection.recv, 65536), b"")).partition(b"\r\n\r\n")
    return head, body


def problem(connection: socket.socket) -> tuple[int, str]:
    """Status and detail of the only answer, which is a problem document."""
    head, body = everything(connection)
    assert b"Content-Type: application/problem+json" in head
    document = json.loads(body)
    assert document["status"] == int(head.split()[1])
    return document["status"], document["detail"]


def asked(api: Api, request: bytes) -> tuple[int, str]:
    with closing(connect(api)) as connection:
        connection.sendall(request)
        return problem(connection)


NOT_REQUESTS = {
    "no request at all": (b"\x16\x03\x01\x02\x00 is how TLS begins\r\n\r\n", 400),
    "no version": (b"GET /livez\r\n\r\n", 400),
    "two lengths": (b"POST /infer HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    "a bad length": (b"POST /infer HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n", 400),
    "a length and chunks": (
        b"POST /infer HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "two hosts": (b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "a folded header": (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", 400),
    "a zero byte in a header": (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A: \x00\r\n\r\n", 400),
    "a long first line": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "a long header": (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 9000 + b"\r\n\r\n", 431),
    "many headers": (b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 200 + b"\r\n", 431),
    "a long head of short headers": (
        b"GET /livez HTTP/1.1\r\nHost: a\r\n" + (b"X-A: " + b"a" * 1000 + b"\r\n") * 40 + b"\r\n",
        431,
    ),
    "an unknown expectation": (b"POST /infer HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417),
    "an unknown coding": (b"POST /infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, tea\r\n\r\n", 501),
}


@pytest.mark.parametrize(("request_bytes", "status"), NOT_REQUESTS.values(), ids=NOT_REQUESTS)
def test_what_is_no_request_is_answered_by_a_problem_document(api, request_bytes, status):
    """They never reach the application, and gunicorn itself would answer in HTML."""
    assert asked(api, request_bytes)[0] == status


@pytest.mark.parametrize(
    ("header", "kind"),
    [(b"X-API-Key one-of-somebody", "InvalidHeader\n"), (b"X-API-Key one-of-somebody: ", "InvalidHeaderName\n")],
)
def test_a_key_in_a_broken_header_is_not_logged(api, header, kind):
    log: Path = api.folder / "api.log"

    def logged() -> str:
        assert asked(api, b"GET /livez HTTP/1.1\r\nHost: a\r\n" + header + b"\r\n\r\n")[0] == 400
        return log.read_text()

    eventually(lambda: kind in logged(), "the log has room for it")
    assert "one-of-somebody" not in logged()


def test_a_head_without_end_costs_no_more_of_the_log_than_others(api):
    """What a connection does not catch, gevent writes at length, whatever the log has room for."""
    assert asked(api, b"GET /livez HTTP/1.1\r\nX-A: " + b"a" * 200_000)[0] == 431
    asked(api, b"GET / HTTP/9\r\n\r\n")

    assert "Traceback" not in (api.folder / "api.log").read_text()


def test_what_is_no_request_costs_a_line_of_the_log_and_only_so_many_a_second(api):
    log = api.folder / "api.log"
    size = log.stat().st_size

    for number in range(100):
        asked(api, b"GET /%03d\xff HTTP/9\r\n\r\n" % number)
    eventually(lambda: "messages left out" in _next_line(api, log), "the messages left out are counted")

    assert log.stat().st_size - size < 100 * 150
    assert "Traceback" not in log.read_text()
    assert "MonkeyPatchWarning" not in log.read_text(), "a module was imported before gevent could patch what it uses"


def _next_line(api: Api, log: Path) -> str:
    asked(api, b"GET / HTTP/9\r\n\r\n")
    return log.read_text()


@pytest.mark.long
def test_a_head_that_is_not_complete_in_time_is_refused_and_a_silent_connection_closed(api):
    with closing(connect(api)) as slow, closing(connect(api)) as silent, closing(connect(api)) as reused:
        slow.sendall(b"GET /livez HTTP/1.1\r\nHost: he")
        reused.sendall(b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n")

        assert problem(slow) == (408, "the request's head did not arrive within 5 s")
        assert everything(silent) == (b"", b"")
        head, body = everything(reused)
        assert head.startswith(b"HTTP/1.1 200") and b"HTTP/1.1" not in body  # noqa: PT018  # one answer, no more


def test_a_peer_with_its_share_of_connections_is_refused_another_and_harms_nobody_else(api):
    refused_before = api.samples()[REFUSED]
    with ExitStack() as stack:
        for _ in range(PER_PEER):
            stack.enter_context(closing(connect(api)))
        eventually(lambda: _is_refused(api), "one more is refused")

        with closing(connect(api, "127.0.0.2")) as other:
            other.sendall(b"GET /livez HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
            assert everything(other)[0].startswith(b"HTTP/1.1 200")

    eventually(lambda: not _is_refused(api), "its share is free again")
    assert api.samples()[REFUSED] > refused_before


def _is_refused(api: Api) -> bool:
    with closing(connect(api)) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        head, body = everything(connection)
        if not head.startswith(b"HTTP/1.1 429"):
            return False
        assert b"Retry-After: 1\r\n" in head
        assert json.loads(body)["detail"] == "there are too many open connections from this address"
        return True


def test_a_trusted_proxy_has_as_many_connections_as_it_needs(api):
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(connect(api, PROXY))) for _ in range(2 * PER_PEER)]
        for connection in connections:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert all(everything(connection)[0].startswith(b"HTTP/1.1 200") for connection in connections)


def page_for(api: Api, source: str, headers: str) -> bytes:
    with closing(connect(api, source)) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: here\r\n{headers}\r\nConnection: close\r\n\r\n".encode())
        head, body = everything(connection)
    assert head.startswith(b"HTTP/1.1 200")
    return body


@pytest.mark.parametrize("header", ["SCRIPT_NAME", "Script-Name", "X-Script-Name", "X_Forwarded_Prefix"])
@pytest.mark.parametrize("source", ["127.0.0.1", PROXY])
def test_no_other_header_says_under_which_path_the_service_is(api, header, source):
    assert b"elsewhere" not in page_for(api, source, f"{header}: /elsewhere")


@pytest.mark.parametrize("source", ["127.0.0.1", PROXY], ids=["stranger", "proxy"])
def test_only_a_trusted_proxy_says_at_which_address_clients_see_the_service(api, source):
    body = page_for(api, source, "X-Forwarded-Host: localhost:99\r\nX-Forwarded-Prefix: /elsewhere")

    assert (b"http://localhost:99/elsewhere/predict" in body) == (source == PROXY)
    assert (b"elsewhere" in body) == (source == PROXY)


@pytest.mark.parametrize(("source", "status"), [("127.0.0.1", b"200"), (PROXY, b"400")], ids=["stranger", "proxy"])
def test_only_a_trusted_proxy_says_how_a_request_came(api, source, status):
    """What it says contradicts itself, so whoever believes it refuses the request."""
    contradiction = b"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n"
    with closing(connect(api, source)) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: here\r\n" + contradiction + b"Connection: close\r\n\r\n")
        head, _ = everything(connection)

    assert head.split()[1] == status


@pytest.mark.parametrize(("source", "status"), [("127.0.0.1", b"403"), (PROXY, b"200")], ids=["stranger", "proxy"])
def test_behind_a_trusted_proxy_with_tls_the_services_own_pages_are_of_its_own_origin(api, source, status):
    """The proxy speaks HTTP to the service, and the page that its browser shows is https."""
    with closing(connect(api, source)) as connection:
        connection.sendall(
            b"POST /feedback HTTP/1.1\r\nHost: here\r\nX-Forwarded-Proto: https\r\nOrigin: https://here\r\n"
            b"Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        head, _ = everything(connection)

    assert head.split()[1] == status
    assert (b"Strict-Transport-Security" in head) == (source == PROXY)


def test_requests_are_served_one_after_the_other_on_one_connection(api):
    with requests.Session() as session:
        url = "http://{}:{}/livez".format(*api.address)
        assert [session.get(url, timeout=TIMEOUT_S).status_code for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("first", ["GET /livez", "POST /nowhere", "DELETE /predict"])
def test_a_body_that_no_route_reads_is_no_piece_of_the_next_head(api, first):
    with connect(api) as connection:
        head = f"{first} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
        connection.sendall(head.encode() + bytes(100_000))
        assert connection.recv(9).startswith(b"HTTP/1.1 ")
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answers = everything(connection)[1]
    assert b"HTTP/1.1 200 OK" in answers
    assert b"HTTP/1.1 431" not in answers

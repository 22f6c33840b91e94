"""Bodies as clumsy and hostile senders send them, over raw connections to the API as gunicorn runs it."""

from __future__ import annotations

import json
import socket
from base64 import b64encode
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING

import pytest

from contract.copy_store import CopyStore
from contract.image_store import ImageStore
from tests.conftest import PICTURES
from tests.support.api import Api
from tests.support.scripted_worker import GIF
from tests.support.workers import ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Server

TYPE = b"Content-Type: multipart/form-data; boundary=b\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="photo.gif"\r\n\r\n'
FORM = PART + GIF + b"tabby\r\n--b--\r\n"
PICTURE = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [b64encode(GIF + b"tabby").decode()]}
TENSOR = json.dumps({"inputs": [PICTURE]}).encode()
TIMEOUT_S = 60
ADMIN_KEY = "an-operators-key"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def api(valkey: Server, folder: Path) -> Iterator[Api]:
    workers = ScriptedWorkers(valkey, folder)
    workers.start()
    with Api(
        valkey.api_url, folder, processes=1, MAX_UPLOAD_MB="1", BODY_MEMORY_MB="2", ADMIN_API_KEY=ADMIN_KEY
    ) as api:
        yield api
    workers.close()


def connect(api: Api) -> socket.socket:
    return socket.create_connection(api.address, timeout=TIMEOUT_S)


def head(path: str, *lines: bytes) -> bytes:
    return (
        b"POST "
        + path.encode()
        + b" HTTP/1.1\r\nHost: localhost\r\n"
        + TYPE
        + b"".join(line + b"\r\n" for line in lines)
    )


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of the answer; the connection is read to its end."""
    received = b"".join(iter(partial(connection.recv, 65536), b""))
    first, _, body = received.partition(b"\r\n\r\n")
    return int(first.split()[1]), body


CHUNKED = b"Transfer-Encoding: chunked"
CLOSE = b"Connection: close"
BROKEN = {
    "no number": b"zz\r\nabc\r\n",
    "a negative one": b"-5\r\nabc\r\n",
    "no end of a chunk": b"3\r\nabcdefgh\r\n0\r\n\r\n",
    "a long line": b"5;" + b"x" * 20_000,
}


def test_a_body_that_ends_in_the_middle_of_a_chunk_is_refused_as_predict_refuses_everything(api):
    """The chunk says that it is larger than anything there is, and its sender closes his side of the connection."""
    with closing(connect(api)) as connection:
        connection.sendall(head("/predict", CHUNKED, CLOSE) + b"\r\nffffffffff2063\r\nabc")
        connection.shutdown(socket.SHUT_WR)
        status, text = answer(connection)

    assert status == 400
    assert json.loads(text) == {"success": False, "prediction": None, "score": None}


@pytest.mark.parametrize("path", ["/infer", "/v1/jobs"])
@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_broken_chunks_are_a_bad_request_of_one_line(api, folder, path, body):
    """They were a bug of ours before, with a traceback in the log: two and a half megabytes of it a second."""
    with closing(connect(api)) as connection:
        connection.sendall(head(path, CHUNKED) + b"\r\n" + body)
        status, text = answer(connection)

    assert (status, json.loads(text)["status"]) == (400, 400)
    assert json.loads(text)["detail"] == "the form can't be read: its chunks are broken, or it ended early"
    assert "Traceback" not in (folder / "api.log").read_text()


@pytest.mark.parametrize(
    ("path", "body"),
    [("/infer", FORM), ("/v1/jobs", FORM), ("/v2/models/scripted/infer", TENSOR)],
)
def test_a_body_that_ends_before_its_length_is_refused_though_it_looks_whole(api, path, body):
    """What its sender meant to send behind it, nobody knows."""
    with closing(connect(api)) as connection:
        connection.sendall(head(path, b"Content-Length: %d" % (len(body) + 1), CLOSE) + b"\r\n" + body)
        connection.shutdown(socket.SHUT_WR)
        status, text = answer(connection)

    assert status == 400
    assert "it ended early" in text.decode()


@pytest.mark.parametrize("path", ["/admin/reload", "/reload", "/admin/models/scripted"])
@pytest.mark.parametrize("media_type", [b"application/json", b"application/x-www-form-urlencoded"])
def test_so_are_those_of_an_operator(api, path, media_type):
    lines = b"POST %b HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %b\r\nAccept: */*\r\nContent-Type: %b\r\n%b\r\n\r\n"
    with closing(connect(api)) as connection:
        connection.sendall(lines % (path.encode(), ADMIN_KEY.encode(), media_type, CHUNKED) + BROKEN["no number"])
        status, text = answer(connection)

    assert status == 400
    assert b"the form can't be read: its chunks are broken, or it ended early" in text.replace(b"&#39;", b"'")


def test_predict_answers_broken_chunks_with_its_own_refusal(api):
    with closing(connect(api)) as connection:
        connection.sendall(head("/predict", CHUNKED) + b"\r\n" + BROKEN["no number"])
        status, text = answer(connection)

    assert (status, json.loads(text)["success"]) == (400, False)


@pytest.mark.parametrize("path", ["/infer", "/v1/jobs"])
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_a_body_that_is_too_large_is_told_so_on_a_connection_that_is_closed(api, path, chunked):
    """A connection closed with bytes unread is reset, and the client sees a fault of the network."""
    body = PART + bytes(3_000_000) + b"\r\n--b--\r\n"
    framing = CHUNKED if chunked else b"Content-Length: %d" % len(body)
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    with closing(connect(api)) as connection:
        connection.sendall(head(path, framing, CLOSE) + b"\r\n" + sent)
        status, text = answer(connection)

    assert (status, json.loads(text)["title"]) == (413, "Request Entity Too Large")


def test_slow_senders_take_no_more_room_than_what_they_have_sent(api):
    """Each announces a megabyte and sends a few bytes: together they once shut out everybody."""
    with ExitStack() as slow:
        for number in range(40):
            connection = slow.enter_context(closing(connect(api)))
            framing = CHUNKED if number % 2 else b"Content-Length: 1000000"
            connection.sendall(head("/infer", framing) + b"\r\n" + (b"5\r\n--b\r\n\r\n" if number % 2 else PART))
        eventually(lambda: "classifier_body_bytes 0.0" not in api.get("/metrics").text, "they are being read")
        with closing(connect(api)) as connection:
            connection.sendall(head("/infer", b"Content-Length: %d" % len(FORM), CLOSE) + b"\r\n" + FORM)
            status, text = answer(connection)

    assert (status, json.loads(text)["predictions"][0]["label"]) == (200, "tabby")
    eventually(lambda: "classifier_body_bytes 0.0" in api.get("/metrics").text, "what was held is let go")


def test_a_large_stored_picture_is_sent_in_pieces_to_whoever_reads_it(api):
    """An answer that nobody reads waits in the memory of this process: it may only be a piece of it."""
    name = ImageStore(api.folder / "uploads").put(GIF)
    large = (PICTURES / "chelsea.jpg").read_bytes() + bytes(8_000_000)  # more than the sockets of both ends hold
    CopyStore(api.folder / "copies").put(name, large)
    (process,) = api.processes()
    before = process.memory_info().rss
    with ExitStack() as unread:
        for _ in range(30):
            connection = unread.enter_context(closing(connect(api)))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(f"GET /display/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert connection.recv(12) == b"HTTP/1.1 200"
        grown = process.memory_info().rss - before
        eventually(lambda: api.get("/livez").status_code == 200, "others are answered")

    assert grown < 60_000_000  # all thirty together are 240 MB

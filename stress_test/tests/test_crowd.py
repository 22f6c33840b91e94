"""How the users count a service's answers; a scripted server gives each of them."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from stress_test.load import send_crowd
from stress_test.senders import WITHOUT_KEYS, Senders
from tests.support.stack import ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stress_test.measurement import Measurement

pytestmark = pytest.mark.long

USERS = 8
PICTURES = ROOT / "tests" / "pictures"


@contextmanager
def server(
    status: int, body: object, headers: dict[str, str], uploads: list[bytes], keys: list[str | None]
) -> Iterator[str]:
    """Answers every upload with ``body``, and notes it in ``uploads`` and ``keys``; its page is as expected."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(200, b'<input type="file">', {})

        def do_POST(self) -> None:
            keys.append(self.headers["Authorization"])
            uploads.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(status, json.dumps(body).encode(), headers)

        def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()


def visit(
    status: int,
    body: object,
    headers: dict[str, str] | None = None,
    *,
    uploads: list[bytes] | None = None,
    known_share: float = 0.0,
    senders: Senders = WITHOUT_KEYS,
    keys: list[str | None] | None = None,
) -> Measurement:
    noted = [] if uploads is None else uploads
    with server(status, body, headers or {}, noted, [] if keys is None else keys) as url:
        return send_crowd(url, USERS, warm_up_s=0, seconds=2, known_share=known_share, senders=senders)


def photos_in(uploads: list[bytes]) -> list[bytes]:
    return [upload[upload.index(b"\xff\xd8") : upload.rindex(b"\r\n--")] for upload in uploads]


def test_a_wrong_label_is_a_failure_whatever_the_status_says():
    """Speed with wrong answers is worth nothing."""
    seen = visit(200, {"success": True, "prediction": "toaster", "score": 0.9})

    assert seen.predictions == 0
    assert seen.failed > 0
    assert all("but the answer was toaster" in reason for reason in seen.failures)


@pytest.mark.parametrize("status", [503, 429])
def test_a_refusal_that_says_when_to_try_again_is_counted_apart(status):
    """An honest refusal is not a failure, and its short times must not improve those of the answers."""
    seen = visit(status, {"title": "not now"}, {"Retry-After": "60"})

    assert 0 < seen.refused <= USERS  # each waits as long as it was asked to
    assert seen.failures == {}
    assert seen.predictions == seen.p99_ms == 0


def test_a_refusal_that_does_not_say_when_is_a_failure():
    seen = visit(503, {"title": "Service Unavailable"})

    assert seen.refused == 0
    assert list(seen.failures) == ["POST /predict: status 503"]


def test_the_users_have_the_keys_in_turns(monkeypatch):
    """Limits are by key, so users who share one are one sender. A shell's key is for another service than ours."""
    monkeypatch.setenv("CLASSIFIER_KEY", "of-the-shell")
    keys: list[str | None] = []
    visit(503, {}, {"Retry-After": "60"}, keys=keys, senders=Senders(("one", "two")))
    none: list[str | None] = []
    visit(503, {}, {"Retry-After": "60"}, keys=none)

    assert set(keys) == {"Bearer one", "Bearer two"}
    assert set(none) == {None}


def test_every_upload_is_a_new_picture():
    """A picture seen before would be served from the cache, and the workers would have nothing to do."""
    uploads: list[bytes] = []
    visit(503, {}, uploads=uploads)
    pictures = photos_in(uploads)

    assert len(pictures) > 1
    assert len(set(pictures)) == len(pictures)


def test_known_pictures_are_the_same_few_and_counted_apart():
    uploads: list[bytes] = []
    seen = visit(200, {"success": True, "prediction": "espresso"}, uploads=uploads, known_share=1.0)

    assert set(photos_in(uploads)) <= {file.read_bytes() for file in PICTURES.glob("*.jpg")}
    assert 0 <= len(uploads) - (seen.known + seen.failed) <= USERS  # of each the last may have been on its way
    assert seen.failed > 0  # two of the three are not an espresso
    assert seen.known > 0
    assert seen.predictions == 0


def test_an_address_where_nothing_listens_is_a_failure_not_a_crash():
    seen = send_crowd(f"http://127.0.0.1:{free_port()}", 2, warm_up_s=0, seconds=1)

    assert seen.predictions == seen.pages == 0
    assert all("no answer: " in reason for reason in seen.failures)
    assert seen.failed > 0

"""The API with a certificate of its own, and connections as hostile and clumsy peers open them to it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack, closing
from functools import partial
from math import inf
from typing import TYPE_CHECKING

import pytest
import requests

from api.server.certificate import BadCertificate, Certificate
from contract import keys
from contract.worker_registry import WorkerEntry, heartbeat, register
from tests.support import certificate
from tests.support.api import Api
from tests.support.missing import skip_or_fail
from tests.support.scripted_worker import DIGEST, GIF, MODEL
from tests.support.stack import ROOT, Stack
from tests.support.workers import ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.certificate import Pair
    from tests.support.server import Server

TIMEOUT_S = 60
PER_PEER = 6
ABANDONED = "classifier_abandoned_total", frozenset[tuple[str, str]]()
PAPER = WorkerEntry(worker_id="paper", host="desk", model=MODEL, digest=DIGEST, batch=1, service_ms=0.0)
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module", autouse=True)
def _openssl() -> None:
    if not shutil.which("openssl"):
        skip_or_fail("no openssl here: install Debian's package of that name")


# What keeps it from starting


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return certificate.make(tmp_path)


def _missing(pair: Pair) -> str:
    pair.cert_file.unlink()
    return f"TLS_CERT_FILE={pair.cert_file}: can't be read: No such file or directory"


def _a_folder(pair: Pair) -> str:
    pair.key_file.unlink()
    pair.key_file.mkdir()
    return f"TLS_KEY_FILE={pair.key_file}: can't be read: Is a directory"


def _for_everybody(pair: Pair) -> str:
    pair.key_file.chmod(0o604)
    return f"TLS_KEY_FILE={pair.key_file}: everybody on this machine may use it: chmod o= {pair.key_file}"


def _no_certificate(pair: Pair) -> str:
    pair.cert_file.write_bytes(GIF)
    return f"TLS_CERT_FILE={pair.cert_file}: is no certificate in PEM"


def _no_key(pair: Pair) -> str:
    pair.key_file.write_bytes(GIF)
    return f"TLS_KEY_FILE={pair.key_file}: can't be used with {pair.cert_file}: it is no key in PEM"


def _of_another(pair: Pair) -> str:
    other = certificate.make(pair.key_file.parent, "other")
    pair.key_file.write_bytes(other.key_file.read_bytes())
    return f"TLS_KEY_FILE={pair.key_file}: is not the key of the first certificate in {pair.cert_file}"


def _of_another_kind(pair: Pair) -> str:
    """As an RSA key beside a certificate for an elliptic curve."""
    key = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True).stdout
    pair.key_file.write_bytes(key)
    return f"TLS_KEY_FILE={pair.key_file}: is not the key of the first certificate in {pair.cert_file}"


def _encrypted(pair: Pair) -> str:
    certificate.encrypt(pair)
    return f"TLS_KEY_FILE={pair.key_file}: is encrypted, and nobody is there to type its password"


def _expired(pair: Pair) -> str:
    certificate.make(pair.cert_file.parent, days=-1)
    return f"TLS_CERT_FILE={pair.cert_file}: no client would take it: certificate has expired"


def _of_a_client(pair: Pair) -> str:
    certificate.make(pair.cert_file.parent, extension="extendedKeyUsage=clientAuth")
    return f"TLS_CERT_FILE={pair.cert_file}: no client would take it: uns"  # -uitable, -upported: OpenSSL's words


UNUSABLE = [
    _missing, _a_folder, _for_everybody, _no_certificate, _no_key, _of_another, _of_another_kind, _encrypted,
    _expired, _of_a_client,
]  # fmt: skip


@pytest.mark.parametrize("spoil", UNUSABLE, ids=lambda spoil: spoil.__name__)
def test_a_certificate_that_can_not_be_used_is_told_in_one_line(pair: Pair, spoil: Callable[[Pair], str]):
    """Otherwise each client would find it out, with a message of its own."""
    message = spoil(pair)

    with pytest.raises(BadCertificate, match=f"^{re.escape(message)}.*$"):
        Certificate(pair.cert_file, pair.key_file)


def test_it_does_not_start_with_a_certificate_that_can_not_be_used(pair: Pair):
    message = _for_everybody(pair)
    started = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--config", "python:api.gunicorn_conf", "api.wsgi:app"],
        env=os.environ | pair.settings, cwd=ROOT, timeout=TIMEOUT_S, check=False, capture_output=True, text=True,
    )  # fmt: skip

    assert (started.returncode, started.stderr) == (2, f"{message}\n")


def test_no_version_of_tls_before_1_2_is_spoken(pair: Pair):
    assert Certificate(pair.cert_file, pair.key_file).context.minimum_version == ssl.TLSVersion.TLSv1_2


# How it serves


@pytest.fixture(scope="module")
def workers(valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedWorkers]:
    """No worker process runs yet, but one is registered, with an entry that does not expire."""
    workers = ScriptedWorkers(valkey, tmp_path_factory.mktemp("tls"))
    workers.redis.flushall()
    register(workers.redis, [MODEL])
    heartbeat(workers.redis, PAPER)
    workers.redis.zadd(keys.workers(MODEL), {PAPER.worker_id: inf})
    workers.redis.persist(keys.worker(MODEL, PAPER.worker_id))
    yield workers
    workers.close()


@pytest.fixture(scope="module")
def served_with(workers: ScriptedWorkers) -> Pair:
    return certificate.make(workers.folder)


@pytest.fixture(scope="module")
def api(valkey: Server, workers: ScriptedWorkers, served_with: Pair) -> Iterator[Api]:
    settings = served_with.settings | {"CONNECTIONS_PER_PEER": str(PER_PEER), "ALLOWED_HOSTS": "pictures.example.org"}
    with Api(valkey.api_url, workers.folder, processes=1, **settings) as api:
        yield api
        assert "Traceback" not in (api.folder / "api.log").read_text()


def unencrypted(api: Api, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(api.address, timeout=TIMEOUT_S, source_address=(source, 0))


def connect(api: Api, trusted: Pair, source: str = "127.0.0.1") -> ssl.SSLSocket:
    """A client that does not take a cut connection for an answer's end."""
    context = ssl.create_default_context(cafile=trusted.cert_file)
    return context.wrap_socket(unencrypted(api, source), server_hostname="localhost", suppress_ragged_eofs=False)


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


def form(picture: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="photo.gif"\r\n\r\n'
    body = head + GIF + picture + b"\r\n--b--\r\n"
    return (
        b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    ) + body


def test_an_answer_is_encrypted_and_whoever_reads_it_can_tell_that_it_was_not_cut_off(api, served_with):
    with connect(api, served_with) as connection:
        connection.sendall(LIVEZ.replace(b"localhost", b"pictures.example.org"))
        head, _ = everything(connection)

    assert head.startswith(b"HTTP/1.1 200")
    assert b"Strict-Transport-Security: " in head


def test_requests_are_served_one_after_the_other_on_one_connection(api, served_with):
    with requests.Session() as session:
        url = "https://{}:{}/livez".format(*api.address)
        statuses = [session.get(url, timeout=TIMEOUT_S, verify=served_with.cert_file).status_code for _ in range(3)]

    assert statuses == [200, 200, 200]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_plain_http_is_told_so_and_not_read(api, method):
    """A key that was sent in clear is not accepted: else whoever sent it would go on so."""
    with unencrypted(api) as connection:
        connection.sendall(LIVEZ.replace(b"GET", method.encode()) + bytes(100_000))

        assert problem(connection) == (400, "this port speaks HTTPS: the address begins with https://")


def test_what_is_neither_is_closed(api):
    with unencrypted(api) as connection:
        connection.sendall(b"\x00" * 5)

        assert b"HTTP" not in everything(connection)[0]


def test_clients_that_connect_and_say_nothing_keep_nobody_else_from_being_served(api, served_with):
    """Neither the process nor more of its places than one peer's share."""
    with ExitStack() as silent:
        for _ in range(PER_PEER):
            silent.enter_context(unencrypted(api))
        eventually(lambda: _is_closed(api), "one more is closed at once")

        with connect(api, served_with, "127.0.0.2") as other:
            other.sendall(LIVEZ)
            assert everything(other)[0].startswith(b"HTTP/1.1 200")
    eventually(lambda: not _is_closed(api), "its share is free again")


def _is_closed(api: Api) -> bool:
    with unencrypted(api) as connection:
        connection.settimeout(0.2)
        try:
            return not connection.recv(1)
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True


@pytest.mark.long
def test_a_handshake_or_a_head_that_is_not_complete_in_time_ends_the_connection(api, served_with):
    with unencrypted(api) as silent, unencrypted(api) as halfway, connect(api, served_with) as slow:
        halfway.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # how a handshake of 512 bytes begins
        slow.sendall(b"GET /livez HTTP/1.1\r\nHost: he")

        assert everything(silent) == (b"", b"")
        assert everything(halfway) == (b"", b"")
        assert problem(slow) == (408, "the request's head did not arrive within 5 s")


def test_a_head_that_is_too_long_is_refused_once(api, served_with):
    with connect(api, served_with) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n" + (b"X-A: " + b"a" * 1000 + b"\r\n") * 40 + b"\r\n")

        assert problem(connection)[0] == 431


def test_broken_chunks_are_refused_in_words_that_arrive(api, served_with):
    head = b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    with connect(api, served_with) as connection:
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\nnot a size\r\n" + bytes(100_000))

        assert problem(connection) == (400, "the form can't be read: its chunks are broken, or it ended early")


@pytest.mark.long
def test_an_upload_that_comes_too_slowly_is_refused_and_the_refusal_is_encrypted(api, served_with):
    """Nothing more is read from its connection, of which only one half may end."""
    with connect(api, served_with) as connection:
        connection.sendall(form(b"slow")[:-10])

        status, detail = problem(connection)
    assert (status, "too slowly" in detail) == (400, True)


def waiting(workers: ScriptedWorkers) -> int:
    names = workers.redis.keys("wanted:*")
    return sum(int(count) for count in (workers.redis.mget(names) if names else []) if count is not None)


def test_hang_ups_are_noticed_with_a_good_bye_and_without_and_other_bytes_are_none(api, workers, served_with):
    """TLS ends in bytes: that some came does not say that somebody is still there."""
    left = api.samples()[ABANDONED]
    staying, polite, rude = (connect(api, served_with) for _ in range(3))
    for number, connection in enumerate((staying, polite, rude)):
        connection.sendall(form(b"tabby %d" % number))
    eventually(lambda: waiting(workers) == 3, "all wait")

    staying.sendall(LIVEZ)  # the next request, while the first one waits
    rude.close()
    polite.setblocking(False)
    with closing(polite), pytest.raises(ssl.SSLWantReadError):
        polite.unwrap()  # sends the good-bye, and does not wait for theirs
    eventually(lambda: waiting(workers) == 1, "both hang-ups are noticed")
    workers.start()
    with staying:
        answers = everything(staying)[1]

    assert b'"predictions":' in answers
    assert answers.count(b"HTTP/1.1 200") == 1  # the first one's is the head
    assert api.samples()[ABANDONED] == left + 2


@pytest.mark.long
def test_a_new_certificate_is_served_after_a_hang_up_signal_and_one_that_can_not_be_used_never(api, served_with):
    """It is renewed every few weeks, by a program at night."""
    first = ssl.get_server_certificate(api.address)
    key = served_with.key_file.read_bytes()
    served_with.key_file.write_bytes(b"no key")
    api.reload()
    still = ssl.get_server_certificate(api.address)
    served_with.key_file.write_bytes(key)
    certificate.make(served_with.cert_file.parent)
    api.reload()
    renewed = ssl.get_server_certificate(api.address)

    assert still == first
    assert (
        f"the certificate in use stays: TLS_KEY_FILE={served_with.key_file}: " in (api.folder / "api.log").read_text()
    )
    assert renewed == served_with.cert_file.read_text()


@pytest.mark.long
def test_make_run_says_https_and_waits_for_it(tmp_path):
    pair = certificate.make(tmp_path)
    with Stack(tmp_path / "data", WORKERS="1", **pair.settings) as stack:
        health = requests.get(f"{stack.url}/health", timeout=TIMEOUT_S, verify=str(pair.cert_file))
        healthy = subprocess.run(
            [sys.executable, "-m", "api.healthcheck"], cwd=ROOT, env=stack.environment, check=False, timeout=TIMEOUT_S
        )

    assert f"Open https://127.0.0.1:{stack.port} " in stack.printed
    assert f"curl -k -F file=@tests/pictures/chelsea.jpg https://127.0.0.1:{stack.port}/predict" in stack.printed
    assert health.json()["workers"] == 1
    assert healthy.returncode == 0

"""deploy/compose.public.yml on a real engine: the service as a network sees it, through a real Caddy."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING

import pytest

from tests.containers import compose as engine
from tests.containers.compose import PROJECT, ROOT
from tests.support import certificate
from tests.support.stack import free_port
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.containers.compose import Compose

pytestmark = pytest.mark.timeout(2000)  # the first test builds the images

CHELSEA = (ROOT / "tests/pictures/chelsea.jpg").read_bytes()
TIMEOUT_S = 60
DOMAIN = "pictures.example.org"
FORM = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n\r\n'


class Public:
    """The service as clients on the network reach it."""

    def __init__(self, compose: Compose, folder: Path) -> None:
        self.ports = {"http": free_port(), "https": free_port()}
        self.certificates = folder
        self.renew()
        self.compose = compose.with_override(
            "deploy/compose.public.yml",
            DOMAIN=DOMAIN,
            PUBLIC_TLS="/certificates/tls.pem /certificates/tls.key",
            CERTIFICATES=str(folder),
            PUBLIC_HTTP=f"127.0.0.1:{self.ports['http']}",
            PUBLIC_HTTPS=f"127.0.0.1:{self.ports['https']}",
        )
        self.key = ""

    def renew(self) -> None:
        pair = certificate.make(self.certificates)
        pair.key_file.chmod(0o644)  # for the proxy's user; the folder is the test's own
        self._trusted = ssl.create_default_context(cafile=pair.cert_file)

    def keys(self, *arguments: str) -> str:
        return self.compose.run("run", "--rm", "-T", "keys", *arguments).strip()

    def connect(self) -> ssl.SSLSocket:
        connection = socket.create_connection(("127.0.0.1", self.ports["https"]), timeout=TIMEOUT_S)
        return self._trusted.wrap_socket(connection, server_hostname=DOMAIN)

    def ask(
        self, path: str, key: str = "", body: bytes | None = None, method: str = "GET", **headers: str
    ) -> tuple[HTTPResponse, bytes]:
        connection = HTTPSConnection(DOMAIN, timeout=TIMEOUT_S)
        connection.sock = self.connect()
        return _answer(connection, path, method, body, headers | ({"Authorization": f"Bearer {key}"} if key else {}))

    def ask_in_clear(self, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection("127.0.0.1", self.ports["http"], timeout=TIMEOUT_S)
        return _answer(connection, path, method, None, {"Host": DOMAIN} | headers)

    def predict(self, key: str, **headers: str) -> tuple[int, str]:
        """Status and label, or what was said instead."""
        form = {"Content-Type": FORM} | headers
        response, body = self.ask("/predict", key, PART + CHELSEA + b"\r\n--b--\r\n", "POST", **form)
        document = json.loads(body)
        return response.status, document.get("prediction") or document.get("error") or document["detail"]

    def up(self) -> bool:
        try:
            return self.ask("/readyz")[0].status == 200
        except OSError:
            return False


def _answer(
    connection: HTTPConnection, path: str, method: str, body: bytes | None, headers: dict[str, str]
) -> tuple[HTTPResponse, bytes]:
    with closing(connection):
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response, response.read()


@pytest.fixture(scope="module")
def public(compose: Compose, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Public]:
    """Keys made, then started, as docs/public.md says; afterwards the service is as it was."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl here")
    _stand_in_for_caddy()
    folder = tmp_path_factory.mktemp("certificates")
    folder.chmod(0o755)
    public = Public(compose, folder)
    try:
        public.compose.run("build", "-q", "keys", "proxy", within_s=600)
        public.key = public.keys("new", "operator", "--scope", "classify", "--scope", "admin")
        public.compose.up("--no-deps", "api", "proxy")
        eventually(public.up, "the service answers through the proxy")
        yield public
    finally:
        public.compose.run("rm", "-s", "-f", "-v", "proxy")
        compose.up("--no-deps", "api")
        engine.docker("network", "rm", f"{PROJECT}_proxy", f"{PROJECT}_outside")
        engine.docker("volume", "rm", f"{PROJECT}_proxy", f"{PROJECT}_keys")


def _stand_in_for_caddy() -> None:
    """Where the base images are local ones, because no registry can be reached, Caddy's is too."""
    if engine.docker("image", "ls", "-q", "--filter", "label=standin=yes") and not engine.docker(
        "image", "ls", "-q", "caddy:2"
    ):
        folder = ROOT / "tests/containers"
        engine.docker("build", "--force-rm", "-q", "-t", "caddy:2", "-f", str(folder / "caddy.Dockerfile"), str(folder))


@pytest.fixture(scope="module")
def slow_upload(public: Public) -> Iterator[ssl.SSLSocket]:
    """It has 10 s of grace, which pass while other tests run."""
    with public.connect() as connection:
        head = (
            f"POST /infer HTTP/1.1\r\nHost: {DOMAIN}\r\nAuthorization: Bearer {public.key}\r\n"
            f"Content-Type: {FORM}\r\nContent-Length: 1000000\r\n\r\n"
        )
        connection.sendall(head.encode() + PART)
        yield connection


@pytest.mark.usefixtures("slow_upload")
def test_nobody_gets_in_without_a_key_and_a_revoked_one_is_void_without_a_restart(public):
    assert public.predict("")[0] == 401
    assert public.predict("a-wrong-one")[0] == 401
    assert public.predict(public.key) == (200, "Egyptian_cat")

    passing = public.keys("new", "visitor", "--scope", "classify")
    eventually(lambda: public.predict(passing) == (200, "Egyptian_cat"), "a new key opens")
    public.keys("revoke", "visitor")
    eventually(lambda: public.predict(passing)[0] == 401, "a revoked key does not")


@pytest.mark.parametrize("service", ["proxy", "api"])
def test_the_proxy_too_runs_as_a_plain_user_who_can_change_nothing(public, service):
    """It is the process that strangers reach first."""
    (container,) = public.compose.containers(service)
    host = container["HostConfig"]

    engine.assert_nobody_can_do_more_than_its_work(container, "10001")
    assert min(host["Memory"], host["NanoCpus"], host["PidsLimit"]) > 0


def test_only_the_proxy_is_published_beyond_this_machine_and_the_api_reads_no_more_than_its_keys(public):
    (api,) = public.compose.containers("api")
    (proxy,) = public.compose.containers("proxy")
    shared = set(api["NetworkSettings"]["Networks"]) & set(proxy["NetworkSettings"]["Networks"])

    assert set(proxy["NetworkSettings"]["Ports"]) >= {"8080/tcp", "8443/tcp"}
    assert {binding["HostIp"] for binding in api["NetworkSettings"]["Ports"]["8000/tcp"]} == {"127.0.0.1"}
    assert shared == {f"{PROJECT}_proxy"}
    assert {mount["Destination"]: mount["RW"] for mount in api["Mounts"]}["/app/data/keys"] is False


def test_in_clear_a_browser_is_sent_on_and_a_key_is_refused_wherever_it_goes(public):
    """A redirect would let a program go on sending its key in clear for ever."""
    page, _ = public.ask_in_clear("/?a=b", Accept="text/html,*/*")
    program, said = public.ask_in_clear("/health", Accept="*/*")
    with_key, _ = public.ask_in_clear("/", Accept="text/html", Authorization=f"Bearer {public.key}")
    form, _ = public.ask_in_clear("/predict", "POST", Accept="text/html")

    assert (page.status, page.headers["Location"]) == (308, f"https://{DOMAIN}/?a=b")
    assert [answer.status for answer in (program, with_key, form)] == [403, 403, 403]
    assert (program.headers["Content-Type"], json.loads(said)["status"]) == ("application/problem+json", 403)


def test_a_sender_is_who_connects_to_the_proxy_whatever_its_request_says(public):
    public.predict("another-wrong-one", **{"X-Forwarded-For": "192.0.2.66"})
    (api,) = public.compose.ids("api")
    told = engine.log(api).split("a wrong key from ")[-1].split()[0]

    assert told != "192.0.2.66"
    assert not told.startswith("10.83.83."), "the proxy's network"


def test_a_request_for_another_name_than_the_certificates_goes_nowhere(public):
    response, body = public.ask("/livez", Host="elsewhere.example.org")

    assert (response.status, body) == (421, b"")


def test_an_upload_that_is_too_large_is_told_so_by_the_api(public, tmp_path):
    """By the status: a proxy ends the connection of one who still sends, and the answer's text may get lost."""
    (tmp_path / "large.jpg").write_bytes(bytes(20_200_000))
    https = public.ports["https"]
    run = subprocess.run(
        ["curl", "-si", "--cacert", public.certificates / "tls.pem", "--resolve", f"{DOMAIN}:{https}:127.0.0.1",
         "-H", f"Authorization: Bearer {public.key}", "-F", "file=@large.jpg", f"https://{DOMAIN}:{https}/infer"],
        cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip

    assert re.search(r"^HTTP/\S+ 413", run.stdout, re.MULTILINE), run.stdout + run.stderr
    assert "strict-transport-security:" in run.stdout.lower(), "it knows that it was asked over TLS"


def test_a_new_certificate_is_served_without_a_restart(public):
    (proxy,) = public.compose.containers("proxy")
    public.renew()
    reload = ("caddy", "reload", "--config", "/etc/caddy/Caddyfile", "--address", "unix//tmp/admin.sock", "--force")
    engine.execute(proxy, *reload)

    eventually(public.up, "a client that trusts only the new one is served")
    assert public.compose.ids("proxy") == [proxy["Id"]]


def test_an_upload_that_comes_too_slowly_is_told_so_by_the_api(public, slow_upload):  # noqa: ARG001
    slow_upload.settimeout(0.5)
    answer = eventually(lambda: _answered_after_a_byte(slow_upload), "the refusal arrives")

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"too slowly" in answer


def _answered_after_a_byte(connection: ssl.SSLSocket) -> bytes:
    connection.sendall(b"x")
    try:
        return connection.recv(65536)
    except TimeoutError:
        return b""


def test_a_client_that_hangs_up_at_the_proxy_is_noticed_by_the_api(public):
    """Otherwise what nobody waits for is computed as soon as there is a proxy."""
    left = abandoned(public)
    models = public.compose.ids("model")
    engine.docker("pause", *models)
    try:
        with public.connect() as connection:
            body = PART + CHELSEA + b"another\r\n--b--\r\n"
            head = (
                f"POST /infer HTTP/1.1\r\nHost: {DOMAIN}\r\nAuthorization: Bearer {public.key}\r\n"
                f"Content-Type: {FORM}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            connection.sendall(head.encode() + body)
            eventually(lambda: series(public, "classifier_http_requests_in_flight") >= 2, "it waits, beside what asks")
        eventually(lambda: abandoned(public) == left + 1, "it is noticed")
    finally:
        engine.docker("unpause", *models)


def abandoned(public: Public) -> float:
    return series(public, "classifier_abandoned_total")


def series(public: Public, name: str) -> float:
    _, body = public.ask("/metrics", public.key)
    return float(body.decode().split(f"\n{name} ")[1].split()[0])


def test_the_proxy_becomes_healthy(public):
    eventually(
        lambda: public.compose.containers("proxy")[0]["State"]["Health"]["Status"] == "healthy", "its check succeeds"
    )

"""Redis over TLS, as docs/redis.md says: by its address alone."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from contract.redis_clients import connect
from contract.redis_users import API, OPERATOR, WORKER, password_hash, users_file
from tests.support.missing import skip_or_fail
from tests.support.stack import free_port
from tests.support.workers import WAIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A Redis that speaks TLS only, with a certificate for ``localhost`` that its own key has signed."""
    redis = shutil.which("redis-server")
    if redis is None or not shutil.which("openssl"):
        skip_or_fail("no redis-server or no openssl here: install Debian's packages of these names")
    port, certificate, key, users = free_port(), tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "users.acl"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    users.write_text(users_file(dict.fromkeys((API, WORKER, OPERATOR), password_hash("secret"))))
    server = subprocess.Popen(
        [redis, "--port", "0", "--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
         "--tls-auth-clients", "no", "--save", "", "--dir", str(tmp_path), "--aclfile", str(users)],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"rediss://api:secret@localhost:{port}/0"

    def answers() -> bool:
        try:
            with connect(f"{address}?ssl_ca_certs={certificate}") as client:
                return bool(client.ping())
        except RedisConnectionError:
            return False

    try:
        eventually(answers, "Redis answers over TLS")
        yield address
    finally:
        server.terminate()
        server.wait(WAIT_S)


def test_redis_is_reached_by_tls_and_only_if_its_certificate_is_known_and_its_own(address, tmp_path):
    """Otherwise anybody between the two could read the passwords and the pictures' names."""
    with connect(f"{address}?ssl_ca_certs={tmp_path}/cert.pem") as client:
        assert client.info("errorstats") == {}  # a connection begins with nothing that Redis refuses
    with connect(address) as client, pytest.raises(RedisConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        client.time()
    elsewhere = address.replace("localhost", "127.0.0.1")
    with connect(f"{elsewhere}?ssl_ca_certs={tmp_path}/cert.pem") as client, pytest.raises(RedisConnectionError):
        client.time()

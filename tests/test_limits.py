"""Limits of a sender on a service of four processes, which share one count without asking each other."""

from __future__ import annotations

import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from api.core.usage import SLICES
from tests.support.api import Api
from tests.support.workers import WAIT_S, ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

    from tests.support.server import Server

pytestmark = pytest.mark.long

PROCESSES = 4
MOST = 100  # a day: a test that ran over the end of a minute would see two of them
AT_ONCE = 8
ADMIN_KEY = "the-admin-key-of-this-test"


@pytest.fixture
def api(valkey: Server, redis: Redis, tmp_path: Path) -> Iterator[Api]:
    redis.flushall()
    workers = ScriptedWorkers(valkey, tmp_path)
    workers.start()
    limits = {"REQUESTS_PER_DAY": str(MOST), "ADMIN_API_KEY": ADMIN_KEY}
    with Api(valkey.api_url, tmp_path, processes=PROCESSES, **limits) as api:
        yield api
    workers.close()


def test_four_processes_keep_one_limit_but_for_what_is_on_its_way(api):
    """Each connection may come to any process, and all are used at once."""
    with ThreadPoolExecutor(AT_ONCE) as clients:
        statuses = Counter(clients.map(lambda n: api.predict(f"picture {n % 20}"), range(4 * MOST)))

    assert set(statuses) == {200, 429}
    assert MOST <= statuses[200] <= MOST + MOST // SLICES + PROCESSES * AT_ONCE
    # All of them know, or learn by one request each.
    more = Counter(api.predict("one more") for _ in range(20))
    assert more[200] < PROCESSES

    # Nothing of a body is needed for the refusal.
    with socket.create_connection(api.address, timeout=WAIT_S) as connection:
        connection.sendall(
            b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: 10000000\r\n\r\n"
        )
        head = eventually(lambda: connection.recv(4096), "an answer")
        assert head.startswith(b"HTTP/1.1 429 ")
        assert b"\r\nRetry-After: " in head
        assert b'\r\nRateLimit: "day";r=0;t=' in head

    admitted = statuses[200] + more[200]
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    host, port = api.address
    report = requests.get(f"http://{host}:{port}/admin/usage", headers=headers, timeout=WAIT_S).json()
    (sender,) = report["addresses"]
    assert sender["name"] == "127.0.0.1"
    assert MOST <= sender["requests"] <= admitted

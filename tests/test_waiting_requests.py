"""Hundreds of requests that wait at the same time, in one API process as gunicorn runs it."""

from __future__ import annotations

from contextlib import ExitStack, closing
from http.client import HTTPConnection
from math import inf
from typing import TYPE_CHECKING

import pytest

from api import gunicorn_conf
from contract import keys
from contract.worker_registry import WorkerEntry, heartbeat, register
from tests.support.api import Api
from tests.support.scripted_worker import DIGEST, GIF, MODEL
from tests.support.workers import ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

    from tests.support.server import Server

SENT = 320
AT_ONCE = 300  # waits are split: at any moment a few check whether their job still exists
DEADLINE_S = 50  # an API that stops waits for its requests a little longer, and is given a minute
THREADS = 20  # gevent's hub has a few for blocking system calls; one a request would be hundreds
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="photo.gif"\r\n\r\n'
PAPER = WorkerEntry(worker_id="paper", host="desk", model=MODEL, digest=DIGEST, batch=1, service_ms=0.0)


@pytest.fixture
def workers(valkey: Server, redis: Redis, tmp_path: Path) -> Iterator[ScriptedWorkers]:
    """No worker process runs yet, but one is registered, with an entry that does not expire."""
    register(redis, MODEL)
    heartbeat(redis, PAPER)
    redis.zadd(keys.workers(MODEL), {PAPER.worker_id: inf})
    redis.persist(keys.worker(MODEL, PAPER.worker_id))
    workers = ScriptedWorkers(valkey.url, tmp_path)
    yield workers
    workers.close()


@pytest.fixture
def api(valkey: Server, workers: ScriptedWorkers, tmp_path: Path) -> Iterator[Api]:  # noqa: ARG001  # it is the workers' server
    with Api(valkey.url, tmp_path, processes=1, REQUEST_TIMEOUT_S=str(DEADLINE_S)) as api:
        yield api


def send(api: Api, picture: str) -> HTTPConnection:
    """Send a picture without waiting for its answer."""
    connection = HTTPConnection(*api.address, timeout=DEADLINE_S)
    body = HEAD + GIF + picture.encode() + b"\r\n--b--\r\n"
    connection.request("POST", "/predict", body, {"Content-Type": "multipart/form-data; boundary=b"})
    return connection


def test_hundreds_of_requests_wait_at_once_and_cost_neither_errors_nor_threads(workers, api):
    """Each holds a connection to Redis: the pools that redis-py and RQ come with would refuse the 101st."""
    (process,) = api.processes()
    with ExitStack() as open_connections:
        connections = [open_connections.enter_context(closing(send(api, f"tabby {n}"))) for n in range(SENT)]
        eventually(lambda: workers.redis.info("clients")["blocked_clients"] >= AT_ONCE, "the requests wait")
        threads = process.num_threads()
        workers.start()
        statuses = [connection.getresponse().status for connection in connections]

    assert statuses == [200] * SENT
    assert threads < THREADS
    assert api.processes() == [process]


def test_gunicorn_serves_requests_as_greenlets():
    """The assumption of the test above, tested alone."""
    assert gunicorn_conf.worker_class == "gevent"

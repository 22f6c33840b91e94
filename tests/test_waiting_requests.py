"""Hundreds of requests that wait at the same time, in one API process as gunicorn runs it."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack, closing
from functools import partial
from http.client import HTTPConnection
from math import inf
from typing import TYPE_CHECKING

import pytest
from gunicorn.util import load_class
from gunicorn.workers.ggevent import GeventWorker
from redis import Redis

from api import gunicorn_conf
from contract import keys
from contract.job_queue import queue_name
from contract.worker_registry import WorkerEntry, heartbeat, register
from tests.support.api import Api
from tests.support.scripted_worker import DIGEST, GIF, MODEL
from tests.support.workers import ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Server

SENT = 320
AT_ONCE = 300  # waits are split: at any moment a few check whether their job still exists
DEADLINE_S = 50  # an API that stops waits for its requests a little longer, and is given a minute
THREADS = 20  # gevent's hub has a few for blocking system calls; one a request would be hundreds
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="photo.gif"\r\n\r\n'
ABANDONED = "classifier_abandoned_total", frozenset[tuple[str, str]]()
PAPER = WorkerEntry(worker_id="paper", host="desk", model=MODEL, digest=DIGEST, batch=1, service_ms=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


def register_on_paper(redis: Redis) -> None:
    """No worker process runs yet, but one is registered, with an entry that does not expire."""
    register(redis, [MODEL])
    heartbeat(redis, PAPER)
    redis.zadd(keys.workers(MODEL), {PAPER.worker_id: inf})
    redis.persist(keys.worker(MODEL, PAPER.worker_id))


@pytest.fixture(scope="module")
def api(valkey: Server, folder: Path) -> Iterator[Api]:
    """One for all: none of its requests is left when a test ends."""
    with Redis.from_url(valkey.operator_url) as redis:
        register_on_paper(redis)  # without a worker it is not ready
    with Api(valkey.api_url, folder, processes=1, REQUEST_TIMEOUT_S=str(DEADLINE_S)) as api:
        yield api


@pytest.fixture
def workers(valkey: Server, redis: Redis, folder: Path) -> Iterator[ScriptedWorkers]:
    register_on_paper(redis)
    workers = ScriptedWorkers(valkey, folder)
    yield workers
    workers.close()
    workers.forget_batches()


def send(api: Api, *pictures: str, path: str = "/predict") -> HTTPConnection:
    """Send pictures without waiting for their answer."""
    connection = HTTPConnection(*api.address, timeout=DEADLINE_S)
    body = b"".join(HEAD + GIF + picture.encode() + b"\r\n" for picture in pictures) + b"--b--\r\n"
    connection.request("POST", path, body, {"Content-Type": "multipart/form-data; boundary=b"})
    return connection


@pytest.mark.long
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
    assert issubclass(load_class(gunicorn_conf.worker_class), GeventWorker)


# Clients that hang up


def queued(workers: ScriptedWorkers) -> int:
    return int(workers.redis.llen(f"rq:queue:{queue_name(MODEL)}"))


def waiting_for(workers: ScriptedWorkers) -> list[int]:
    """By how many requests each job is waited for."""
    names = workers.redis.keys("wanted:*")
    return sorted(int(count) for count in (workers.redis.mget(names) if names else []) if count is not None)


def test_what_nobody_waits_for_any_more_is_not_computed(workers, api):
    """Otherwise whoever asks and hangs up, again and again, keeps the workers busy for nobody."""
    abandoned = api.samples()[ABANDONED]
    leaving, staying = [send(api, f"left {n}") for n in range(20)], send(api, "stayed")
    eventually(lambda: waiting_for(workers) == [1] * 21, "all wait")
    for connection in leaving:
        connection.close()
    eventually(lambda: waiting_for(workers) == [1], "the service has noticed")
    workers.start()

    assert staying.getresponse().status == 200
    assert workers.batches() == ["stayed"]
    assert api.samples()[ABANDONED] == abandoned + 20
    staying.close()


def test_a_picture_is_computed_as_long_as_one_of_those_who_wait_for_it_is_there(workers, api):
    first = send(api, "shared")
    eventually(lambda: waiting_for(workers) == [1], "the first waits")
    with closing(send(api, "shared")) as second:
        eventually(lambda: waiting_for(workers) == [2], "the second waits for the same job")
        first.close()
        eventually(lambda: waiting_for(workers) == [1], "the service has noticed")
        workers.start()

        assert second.getresponse().status == 200
    assert workers.batches() == ["shared"]


def test_a_batch_is_dropped_with_all_its_pictures(workers, api):
    connection = send(api, "one", "two", "three", path="/infer/batch")
    eventually(lambda: waiting_for(workers) == [1, 1, 1], "all wait")
    connection.close()
    eventually(lambda: waiting_for(workers) == [], "nobody wants them")
    with closing(send(api, "tabby")) as other:
        workers.start()

        assert other.getresponse().status == 200
    assert workers.batches() == ["tabby"]


def test_a_client_that_closes_its_sending_side_counts_as_gone(workers, api):
    """Its end of the connection looks the same as that of one who has left."""
    with closing(send(api, "half")) as connection:
        eventually(lambda: waiting_for(workers) == [1], "it waits")
        connection.sock.shutdown(socket.SHUT_WR)
        answer = connection.getresponse()

        assert (answer.status, waiting_for(workers)) == (400, [])


def test_a_client_that_sends_its_next_request_early_is_still_there(workers, api):
    with closing(send(api, "tabby")) as connection:
        eventually(lambda: waiting_for(workers) == [1], "it waits")
        connection.sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        workers.start()
        received = b"".join(iter(partial(connection.sock.recv, 65536), b""))

    assert received.count(b"HTTP/1.1 200 OK") == 2


def test_the_connection_to_redis_of_a_request_that_was_left_serves_no_other(workers, api):
    """It may still receive what the request before it waited for."""
    for n in range(10):
        leaving = send(api, f"left {n}")
        eventually(lambda: waiting_for(workers) == [1], "it waits")
        leaving.close()
        eventually(lambda: waiting_for(workers) == [], "the service has noticed")
    workers.start()
    labels = []
    for n in range(10):
        with closing(send(api, f"tabby {n}")) as connection:
            labels.append(json.load(connection.getresponse())["prediction"])

    assert labels == [f"tabby {n}" for n in range(10)]


@pytest.mark.long
def test_the_jobs_of_an_api_process_that_dies_end_with_their_deadline(workers, valkey, tmp_path):
    """It can't say any more that nobody waits."""
    with Api(valkey.api_url, tmp_path, processes=1, REQUEST_TIMEOUT_S="2") as api:
        send(api, "left").close()
        with closing(send(api, "cut off")):
            eventually(lambda: waiting_for(workers) == [1], "the second waits")
            (process,) = api.processes()
            process.kill()
            eventually(lambda: waiting_for(workers) == [], "the deadline is over")
    assert queued(workers) >= 1
    workers.start()
    eventually(lambda: queued(workers) == 0, "they are taken")

    assert workers.batches() == []

"""The numbers of a service of two API processes: each process gives those of both, also after one has died."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count, takewhile
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
import requests
from requests.exceptions import ChunkedEncodingError

from tests.support.api import Api
from tests.support.workers import WAIT_S, ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Server

PROCESSES = 2
HALF_A_REQUEST = (
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b"Content-Length: 1000\r\n\r\n--b"
)
SENT = 100
KILLS = 12


@pytest.fixture(scope="module")
def api(valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One for all: what a test has it count is the difference to before."""
    folder = tmp_path_factory.mktemp("api")
    workers = ScriptedWorkers(valkey, folder)
    workers.redis.flushall()
    workers.start()
    with Api(valkey.api_url, folder, processes=PROCESSES) as api:
        yield api
    workers.close()


def answers(api: Api, cache: str) -> float:
    return api.samples().get(("classifier_answers_total", frozenset({("cache", cache)})), 0)


def test_whichever_process_answers_it_gives_the_numbers_of_all(api):
    """Behind one address a number that depends on who answers is worthless."""
    first, second = api.processes()
    before, misses, hits = api.stats(), answers(api, "miss"), answers(api, "hit")
    with api.answered_by(first):
        for n in range(7):
            assert api.predict(f"one {n}") == 200
    with api.answered_by(second):
        for n in range(5):
            assert api.predict(f"two {n}") == 200
        assert api.predict("one 1") == 200  # known by now
        numbers = [api.stats()]
        counted = answers(api, "miss") - misses, answers(api, "hit") - hits
    with api.answered_by(first):
        numbers.append(api.stats())

    assert [told["total_requests"] - before["total_requests"] for told in numbers] == [13, 13]
    assert numbers[0]["p99_latency_ms"] == numbers[1]["p99_latency_ms"] > 0
    assert abs(numbers[0]["uptime_seconds"] - numbers[1]["uptime_seconds"]) < WAIT_S
    assert counted == (12, 1)


def test_of_requests_at_once_none_is_lost_and_none_is_counted_twice(api):
    before = api.stats()
    with ThreadPoolExecutor(32) as senders:
        statuses = list(senders.map(lambda n: api.predict(f"tabby {n}"), range(SENT)))
    after = api.stats()

    assert set(statuses) == {200}
    for counted in ("total_requests", "successful_requests"):
        assert after[counted] - before[counted] == SENT


def test_a_process_that_is_killed_takes_no_numbers_with_it(api):
    """Totals that fall look like a restart; the successor goes on counting, and its clock is the service's."""
    for n in range(10):
        assert api.predict(f"before {n}") == 200
    before = api.stats()
    for victim in api.processes():  # one after the other: in the end nobody is left who has seen the requests
        api.replace(victim)
    after = api.stats()

    assert after["total_requests"] == before["total_requests"] >= 10
    assert after["average_latency_ms"] == before["average_latency_ms"]
    assert after["uptime_seconds"] >= before["uptime_seconds"]

    for n in range(3):
        assert api.predict(f"after {n}") == 200

    assert api.stats()["total_requests"] == before["total_requests"] + 3


def test_requests_that_died_with_their_process_are_not_in_flight_for_ever(api):
    victim, _ = api.processes()
    with api.answered_by(victim), socket.create_connection(api.address) as sender:
        sender.sendall(HALF_A_REQUEST)
        eventually(lambda: api.in_flight() == 2, "the request and the scrape are in flight")
        api.replace(victim)

    assert api.in_flight() == 1


@pytest.mark.long
def test_processes_that_are_killed_under_load_again_and_again_leave_numbers_that_hold(api):
    """Out of memory, say, for a night. No scrape fails, and no total falls."""
    stop = Event()

    def send(sender: int) -> int:
        """How many were answered before all had to stop."""
        answered = 0
        for n in takewhile(lambda _: not stop.is_set(), count()):
            with suppress(requests.ConnectionError, ChunkedEncodingError):  # it was the killed one's
                answered += api.predict(f"tabby {sender} {n}") == 200
        return answered

    with ThreadPoolExecutor(4) as senders:
        sending = [senders.submit(send, sender) for sender in range(4)]
        try:
            before = totals(api)
            for n in range(KILLS):
                api.replace(api.processes()[n % PROCESSES])
                now = totals(api)
                assert all(now[series] >= total for series, total in before.items())
                before = now
        finally:
            stop.set()
    answered = sum(sender.result() for sender in sending)

    eventually(lambda: api.in_flight() == 1, "the last successor has begun, and what died with its predecessor is gone")
    for process in api.processes():
        with api.answered_by(process):
            assert api.stats()["total_requests"] >= answered > KILLS
            assert api.in_flight() == 1


@pytest.mark.long
def test_a_reload_changes_nothing_about_the_numbers(api):
    """New processes start beside the old ones, which may still be answering."""
    assert api.predict("before") == 200
    before = api.stats()
    for _ in range(3):
        api.reload()
    assert api.predict("after") == 200
    after = api.stats()

    assert after["total_requests"] == before["total_requests"] + 1
    assert after["uptime_seconds"] >= before["uptime_seconds"]
    assert api.in_flight() == 1


def totals(api: Api) -> dict[Any, float]:
    """What may only grow."""
    return {
        series: value
        for series, value in api.samples().items()
        if series[0].endswith(("_total", "_count", "_sum", "_bucket"))
    }

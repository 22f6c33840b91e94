from __future__ import annotations

from dataclasses import replace

import pytest

from contract import keys
from contract.model_version import ModelVersion
from contract.redis_clock import read_time_s
from contract.worker_registry import (
    ALIVE_FOR_S,
    ENTRY_KEPT_FOR_S,
    LABELS_KEPT_FOR_S,
    Beat,
    Heard,
    Roster,
    WorkerEntry,
    deregister,
    has_live_workers,
    heartbeat,
    heartbeats,
    known_models,
    live_workers,
    publish_labels,
    read_labels,
    register,
)

ENTRY = WorkerEntry(worker_id="w1", host="host-1", model="resnet50", digest="d" * 64, batch=8, service_ms=20.5)
LABELS = ("Egyptian_cat", "crane", "crane", "crème_brûlée")


def test_a_worker_is_alive_from_its_first_heartbeat_until_it_deregisters(redis):
    heartbeat(redis, ENTRY)
    assert live_workers(redis) == [ENTRY]

    deregister(redis, ENTRY)
    assert live_workers(redis) == []


def test_a_heartbeat_learns_how_many_are_alive(redis):
    """A worker takes its share of a short queue; one that is silent for longer than the limit gets none."""
    redis.zadd(keys.workers("resnet50"), {"silent": 1})
    other = replace(ENTRY, worker_id="w2")
    seen = [heartbeat(redis, ENTRY), heartbeat(redis, other), heartbeat(redis, ENTRY)]
    deregister(redis, other)

    assert [roster.workers for roster in (*seen, heartbeat(redis, ENTRY))] == [1, 2, 2, 1]


def test_a_worker_that_falls_silent_counts_as_gone(redis):
    """A killed worker does not deregister: it is alive by the time of its latest heartbeat, and its entry expires."""
    heartbeats(redis, [Beat(ENTRY, 1.0)], read_time_s(redis) - ALIVE_FOR_S - 1, 0.5)

    assert live_workers(redis) == []
    assert 0 < redis.ttl(keys.worker("resnet50", "w1")) <= ENTRY_KEPT_FOR_S


def test_a_heartbeat_that_does_not_write_the_entry_keeps_the_worker_alive(redis):
    heartbeats(redis, [Beat(ENTRY, 1.0)], read_time_s(redis) - ALIVE_FOR_S - 1, 0.5)
    (heard,) = heartbeats(redis, [Beat(ENTRY, 1.0, in_full=False)], read_time_s(redis), 0.5)

    assert heard == Heard(Roster(1, serves_bulk=False), was_known=True)
    assert live_workers(redis) == [ENTRY]


def test_a_heartbeat_hears_that_redis_did_not_know_the_worker(redis):
    """As after a restart without its data: then the entry has to be written anew."""
    heartbeat(redis, ENTRY)
    redis.flushall()
    (heard,) = heartbeats(redis, [Beat(ENTRY, 1.0, in_full=False)], read_time_s(redis), 0.5)

    assert not heard.was_known


def test_the_models_registered_last_come_first(redis):
    """Starting workers of another model moves requests to it that name none; while none is alive, the other serves."""
    other = replace(ENTRY, worker_id="w2", model="mobilenet")
    for entry in (ENTRY, other):
        register(redis, [entry.model])
        heartbeat(redis, entry)
    assert known_models(redis) == ["mobilenet", "resnet50"]
    assert live_workers(redis) == [other, ENTRY]

    deregister(redis, other)
    assert known_models(redis) == ["mobilenet", "resnet50"]
    assert live_workers(redis) == [ENTRY]


def test_of_the_models_that_a_worker_registers_the_first_comes_first(redis):
    """What its settings name first is what requests mean that name none."""
    redis.zadd(keys.MODELS, {"old": 1.0})
    register(redis, ["first", "second", "third@2"])

    assert known_models(redis) == ["first", "second", "third@2", "old"]


def test_a_worker_of_several_models_has_an_entry_for_each_and_leaves_one_at_a_time(redis):
    """One that unloads a version goes on with the others."""
    other = replace(ENTRY, model="resnet50@2", digest="e" * 64, wake="0123456789abcdef")
    for entry in (ENTRY, other):
        heartbeat(redis, entry)
    assert sorted(live_workers(redis), key=lambda entry: entry.model) == [ENTRY, other]
    assert has_live_workers(redis, ModelVersion("resnet50", "2"))

    deregister(redis, other)
    assert live_workers(redis) == [ENTRY]
    assert not has_live_workers(redis, ModelVersion("resnet50", "2"))
    assert has_live_workers(redis, ModelVersion("resnet50"))


def test_an_entry_that_cannot_be_read_is_skipped(redis):
    """In a rolling upgrade another version's workers have their own fields."""
    heartbeat(redis, ENTRY)
    heartbeat(redis, replace(ENTRY, worker_id="w2"))
    redis.hdel(keys.worker("resnet50", "w2"), "batch")

    assert live_workers(redis) == [ENTRY]


def test_heartbeats_alone_bring_a_worker_back_after_everything_was_lost(redis):
    """Redis without its file after a crash: the workers are not restarted."""
    register(redis, [ENTRY.model])
    redis.flushall()
    heartbeat(redis, ENTRY)

    assert live_workers(redis) == [ENTRY]


def test_published_labels_come_back_by_class_index(redis):
    """Two classes with one name are still two classes, and a label is any text."""
    assert read_labels(redis, ENTRY.model, ENTRY.digest) is None

    publish_labels(redis, ENTRY.model, ENTRY.digest, LABELS)
    assert read_labels(redis, ENTRY.model, ENTRY.digest) == LABELS
    assert read_labels(redis, ENTRY.model, "e" * 64) is None


def test_labels_that_somebody_overwrites_are_there_again_with_the_next_heartbeat(redis):
    """Pages would show another model's names for as long as the worker runs."""
    publish_labels(redis, ENTRY.model, ENTRY.digest, LABELS)
    redis.set(keys.labels(ENTRY.model, ENTRY.digest), '["somebody", "else\'s"]')
    publish_labels(redis, ENTRY.model, ENTRY.digest, LABELS)

    assert read_labels(redis, ENTRY.model, ENTRY.digest) == LABELS


def test_labels_live_while_a_worker_publishes_them_and_outlive_its_entry(redis):
    """Otherwise Redis would fill with the labels of every model ever served, or miss a live worker's for a moment."""
    publish_labels(redis, ENTRY.model, ENTRY.digest, LABELS)
    redis.expire(keys.labels(ENTRY.model, ENTRY.digest), 1)
    publish_labels(redis, ENTRY.model, ENTRY.digest, LABELS)

    assert ALIVE_FOR_S < redis.ttl(keys.labels(ENTRY.model, ENTRY.digest)) <= LABELS_KEPT_FOR_S
    assert read_labels(redis, ENTRY.model, ENTRY.digest) == LABELS


@pytest.mark.parametrize("forged", [b"", b"{", b"\xff", b'{"0": "cat"}', b'["cat", 7]', b"null"])
def test_what_is_not_a_list_of_labels_is_ignored(redis, forged):
    """A person's page must not break on a value that was written by hand or by another version."""
    redis.set(keys.labels(ENTRY.model, ENTRY.digest), forged)

    assert read_labels(redis, ENTRY.model, ENTRY.digest) is None

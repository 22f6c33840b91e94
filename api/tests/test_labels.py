from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.core.errors import NoWorker
from api.core.labels import LabelList, LabelLookup
from api.core.live_workers import LiveWorkers
from contract.errors import BackendDown
from contract.job_queue import JobQueue
from contract.model_version import ModelVersion
from contract.redis_clients import connect, connect_for_waiting
from contract.worker_registry import WorkerEntry, deregister, heartbeat, publish_labels, register

if TYPE_CHECKING:
    from redis import Redis

ENTRY = WorkerEntry(worker_id="w1", host="h", model="pets", digest="d" * 64, batch=1, service_ms=0.0)
PETS = LabelList(
    ModelVersion("pets"), ENTRY.digest, ("tabby", "Cardigan", "cardigan", "crane", "crane", "black-and-tan_coonhound")
)


@pytest.fixture
def lookup(redis: Redis) -> LabelLookup:
    """Over an empty Valkey."""
    return a_book(redis)


def a_book(redis: Redis) -> LabelLookup:
    return LabelLookup(redis, LiveWorkers(redis, JobQueue(redis, redis)))


def be_at_work(redis: Redis, known: LabelList = PETS) -> None:
    publish_labels(redis, known.model.key, known.digest, known.labels)
    register(redis, [known.model.key])
    heartbeat(redis, ENTRY)


def test_the_labels_are_those_that_the_worker_published(redis, lookup):
    be_at_work(redis)

    assert lookup.of() == PETS


def test_labels_stay_known_while_the_worker_restarts(redis, lookup):
    """A person who has just read an answer can still report it."""
    be_at_work(redis)
    lookup.of()
    redis.flushall()

    assert lookup.of() == PETS


@pytest.mark.parametrize(
    "leave", [lambda redis: deregister(redis, ENTRY), lambda redis: redis.delete(f"labels:pets:{'d' * 64}")]
)
def test_a_process_that_never_read_any_labels_says_that_no_worker_is_ready(redis, lookup, leave):
    """A worker of an older version, which publishes none, does not count as a model without classes."""
    be_at_work(redis)
    leave(redis)

    with pytest.raises(NoWorker):
        lookup.of()


def test_an_absent_redis_is_the_backends_fault(tmp_path):
    url = f"unix://{tmp_path}/none.sock"
    client = connect(url)
    lookup = LabelLookup(client, LiveWorkers(client, JobQueue(client, connect_for_waiting(url))))

    with pytest.raises(BackendDown):
        lookup.of()


def test_a_person_reads_each_name_once_and_in_order():
    assert PETS.names == ["black-and-tan coonhound", "Cardigan", "cardigan", "crane", "tabby"]


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("black-and-tan coonhound", "black-and-tan_coonhound"),
        ("black-and-tan_coonhound", "black-and-tan_coonhound"),
        ("  Black-and-tan  coonhound ", "black-and-tan_coonhound"),
        ("Tabby", "tabby"),
        ("Cardigan", "Cardigan"),
        ("cardigan", "cardigan"),
        ("CARDIGAN", "CARDIGAN"),
        ("crane", "crane"),
        ("my neighbour's cat", "my neighbour's cat"),
        ("", ""),
    ],
)
def test_words_mean_the_label_that_they_name_or_otherwise_themselves(words, label):
    """Retraining sorts by label: "Egyptian cat" and "Egyptian_cat" are one class, a dog and a jacket are two."""
    assert PETS.meant_by(words) == label


def test_the_labels_of_what_has_answered_are_read_whichever_was_asked_for(redis, lookup):
    """Once: they belong to its digest, whatever becomes of its workers."""
    other = LabelList(ModelVersion("pets", "2"), "e" * 64, ("lynx",))
    be_at_work(redis)
    publish_labels(redis, other.model.key, other.digest, other.labels)

    assert lookup.of_answer(other.model, other.digest) == other
    redis.flushall()
    assert lookup.of_answer(other.model, other.digest) == other
    with pytest.raises(NoWorker):
        lookup.of_answer(other.model, "f" * 64)

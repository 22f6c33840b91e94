"""Which workers a process assumes to be alive between two readings of the registry, and which a request means."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event
from typing import TYPE_CHECKING, cast
from unittest.mock import MagicMock

import pytest

from api.core import live_workers as live_workers_module
from api.core.errors import NoWorker, UnknownModel
from api.core.live_workers import Fleet, LiveWorkers, WorkerPool
from contract import keys
from contract.job_queue import JobQueue
from contract.model_state import ModelState
from contract.model_version import ModelVersion, WantedModel
from contract.registry_reader import Registry
from contract.worker_registry import WorkerEntry, heartbeat, register

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis

    from contract.redis_memory import RedisMemory


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(live_workers_module, "time", clock)
    return clock


def pool(service_ms: Sequence[float] = (20.0,), model: str = "m") -> WorkerPool:
    entries = tuple(
        WorkerEntry(worker_id="w", host="h", model=model, digest="d" * 64, batch=8, service_ms=milliseconds)
        for milliseconds in service_ms
    )
    memory = cast("RedisMemory", None)
    return WorkerPool(model=model, digest="d" * 64, workers=entries, memory=memory, queued=0, seen_at=0.0)


def fleet(
    *pools: WorkerPool,
    versions: Sequence[str] = (),
    states: Mapping[str, ModelState] | None = None,
    default_model: str = "",
) -> Fleet:
    """``pools`` are served; ``versions`` are registered beside or before them, by ``ModelVersion.key``."""
    registered = dict.fromkeys([*versions, *(served.model for served in pools)])
    return Fleet(
        tuple(map(ModelVersion.from_key, registered)),
        states or {},
        {served.model: served for served in pools},
        cast("RedisMemory", None),
        default_model,
    )


def named(text: str | None) -> WantedModel | None:
    return WantedModel.parse(text) if text is not None else None


@pytest.mark.parametrize(
    ("service_ms", "expected_ms"),
    [((20.0, 0.0), 20.0), ((20.0, 200.0), 2 / (1 / 20 + 1 / 200)), ((0.0, 0.0), 0.0)],
    ids=["one has just started", "one is slow", "both have just started"],
)
def test_a_pool_is_as_fast_as_its_workers_together(service_ms, expected_ms):
    """Otherwise, with a long queue just after a restart, twice as much as the workers can do would be admitted."""
    assert pool(service_ms).mean_service_s * 1000 == pytest.approx(expected_ms)


class SlowRedis:
    """A Redis in front of which the first look waits until the test lets it go on."""

    def __init__(self) -> None:
        self.asked, self.answer = Event(), Event()

    def __call__(self, _redis: object, _send_too: object) -> Registry:
        self.asked.set()
        self.answer.wait()
        return Registry((), {}, (), {})


def test_while_one_request_reads_the_registry_others_use_what_was_read_before(clock, monkeypatch):
    """In a burst a look takes as long as hundreds of requests, which must neither fail nor wait because of it."""
    queue = MagicMock(spec=JobQueue)
    queue.depths.return_value = []
    live_workers = LiveWorkers(cast("Redis", None), queue)
    known = pool([20])
    monkeypatch.setattr(live_workers, "_fleet", fleet(known))
    monkeypatch.setattr(live_workers, "_looked_at", clock.now - 1.5)
    slow = SlowRedis()
    monkeypatch.setattr(live_workers_module, "read_registry", slow)
    monkeypatch.setattr(live_workers_module, "read_redis_memory", lambda _redis: None)
    with ThreadPoolExecutor() as threads:
        looker = threads.submit(live_workers.pool)
        slow.asked.wait()
        meanwhile = live_workers.pool()
        slow.answer.set()

    assert meanwhile is known
    assert isinstance(looker.exception(), NoWorker)


def test_while_one_request_reads_the_registry_others_wait_for_it_if_there_was_no_worker(clock, monkeypatch):
    """Of a burst just after the start, when others know the first worker already, none is refused."""
    queue = MagicMock(spec=JobQueue)
    queue.depths.return_value = []
    live_workers = LiveWorkers(cast("Redis", None), queue)
    monkeypatch.setattr(live_workers, "_fleet", fleet())
    monkeypatch.setattr(live_workers, "_looked_at", clock.now)
    slow, first = SlowRedis(), fleet(pool([20]))
    monkeypatch.setattr(live_workers_module, "read_registry", slow)
    monkeypatch.setattr(live_workers_module, "read_redis_memory", lambda _redis: None)
    monkeypatch.setattr(live_workers_module, "Fleet", lambda *_: first)
    with ThreadPoolExecutor() as threads:
        looker = threads.submit(live_workers.pool)
        slow.asked.wait()
        others = [threads.submit(live_workers.pool) for _ in range(3)]
        wait(others, timeout=0.1)
        slow.answer.set()

    assert all(asked.result() is looker.result() for asked in others)


# Which version a request means


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        (None, "resnet50@2"),
        ("resnet50", "resnet50@2"),
        ("resnet50@1", "resnet50@1"),
        ("lite", "lite@1"),
        ("lite@1", "lite@1"),
    ],
)
def test_a_name_means_the_current_version_and_a_version_itself(asked, meant):
    states = {"resnet50": ModelState("2", "1", 2), "lite": ModelState("1", None, 1)}
    served = fleet(pool(model="resnet50"), pool(model="resnet50@2"), pool(model="lite"), states=states)

    assert str(served.wanted(named(asked))) == meant
    assert str(served.pool(served.wanted(named(asked))).version) == meant


@pytest.mark.parametrize("asked", ["resnet51", "resnet50@3", "RESNET50"])
def test_what_no_worker_has_registered_is_unknown_and_the_refusal_names_what_there_is(asked):
    served = fleet(pool(model="resnet50"), pool(model="lite@2"), versions=("gone",))

    with pytest.raises(UnknownModel, match=f"^there is no model {asked}; there are lite@2, resnet50@1$"):
        served.wanted(named(asked))


@pytest.mark.parametrize("asked", ["lite", "lite@1"])
def test_a_version_whose_workers_are_gone_is_known_but_not_ready(asked):
    """503, not 404: it comes back with its workers."""
    served = fleet(pool(model="resnet50"), versions=("lite",), states={"lite": ModelState("1", None, 1)})

    with pytest.raises(NoWorker, match=r"^no worker of lite@1 is ready$") as refused:
        served.pool(served.wanted(named(asked)))

    assert refused.value.retry_after_s > 0


def test_a_bare_name_never_means_another_version_than_the_current_one():
    """While its workers are away requests are told so. What answered instead would be what an operator has replaced."""
    states = {"resnet50": ModelState("2", "1", 2)}
    served = fleet(pool(model="resnet50"), versions=("resnet50@2", "resnet50"), states=states)

    with pytest.raises(NoWorker, match=r"^no worker of resnet50@2 is ready$"):
        served.pool(served.wanted(named("resnet50")))


def test_of_workers_that_say_nothing_of_versions_the_newest_model_with_a_live_one_serves():
    """In an upgrade the API is newer than the workers: they register names and no state."""
    served = fleet(pool(model="old"), versions=("new", "old"))

    assert str(served.wanted(None)) == "old@1"
    assert str(served.wanted(named("old"))) == "old@1"


def test_without_a_default_the_model_registered_last_is_meant_whose_current_version_is_served():
    states = {"first": ModelState("1", None, 1), "second": ModelState("2", None, 1)}
    versions = ("first", "second@2", "second")

    assert str(fleet(pool(model="first"), pool(model="second@2"), versions=versions, states=states).default()) == (
        "first@1"
    )
    assert str(fleet(pool(model="second@2"), versions=versions, states=states).default()) == "second@2"
    assert str(fleet(pool(model="second"), versions=versions, states=states).default()) == "first@1"  # not ready


def test_the_default_that_the_operator_names_is_meant_whatever_else_has_started():
    served = fleet(pool(model="new"), pool(model="lite"), default_model="lite")

    assert str(served.default()) == "lite@1"


@pytest.mark.parametrize("known", [(), ("new",)])
def test_while_the_default_that_the_operator_names_was_never_ready_no_other_stands_in_for_it(known):
    served = fleet(*(pool(model=model) for model in known), default_model="lite")

    with pytest.raises(NoWorker, match=r"^no worker of lite, the default model, has been ready yet$"):
        served.default()


def test_without_any_model_no_worker_is_ready():
    """A model that is asked for by name may still come, but is not known: it may as well be a slip."""
    with pytest.raises(NoWorker, match=r"^no worker is ready$"):
        fleet().default()
    with pytest.raises(UnknownModel, match=r"^there is no model resnet50; no worker is ready$"):
        fleet().wanted(named("resnet50"))


# What the registry tells


@pytest.fixture
def registered(redis: Redis) -> LiveWorkers:
    return LiveWorkers(redis, JobQueue(redis, redis))


def be_at_work(redis: Redis, worker_id: str, *models: str, wake: str = "") -> None:
    register(redis, list(models))
    for model in models:
        heartbeat(
            redis,
            WorkerEntry(
                worker_id=worker_id, host="h", model=model, digest="d" * 64, batch=8, service_ms=20.0, wake=wake
            ),
        )


def test_a_pool_has_its_own_versions_workers_queue_and_wake_ups_only(redis, registered):
    be_at_work(redis, "w1", "a", "b@2", wake="both")
    be_at_work(redis, "w2", "b@2")
    redis.rpush("rq:queue:classify-b@2", "x", "y")
    redis.rpush("rq:queue:bulk-b@2", "z")
    a, b = (registered.pool(named(text)) for text in ("a", "b@2"))

    assert [worker.worker_id for worker in a.workers] == ["w1"]
    assert {worker.worker_id for worker in b.workers} == {"w1", "w2"}
    assert (a.queued, a.bulk_queued, b.queued, b.bulk_queued) == (0, 0, 2, 1)
    assert (a.wake, b.wake) == ({"both"}, {"both"})


def test_pools_know_which_share_of_another_versions_workers_are_theirs(redis, registered):
    be_at_work(redis, "w1", "a", "b")
    be_at_work(redis, "w2", "b")
    be_at_work(redis, "w3", "c")
    shares = {
        model: {neighbour.pool.model: neighbour.share for neighbour in registered.pool(named(model)).neighbours}
        for model in "abc"
    }

    assert shares == {"a": {"b": 0.5}, "b": {"a": 1.0}, "c": {}}


def test_an_async_job_has_a_destination_while_no_worker_of_its_model_is_alive(redis, registered):
    be_at_work(redis, "w1", "a")
    redis.zadd(keys.MODELS, {"b@2": 1.0})

    assert registered.destination(named("a")).pool is not None
    away = registered.destination(named("b"))
    assert (away.model, away.pool) == ("b@2", None)
    with pytest.raises(UnknownModel):
        registered.destination(named("b@1"))

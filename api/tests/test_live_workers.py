"""Which workers a process assumes to be alive between two readings of the registry."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, cast

import pytest

from api.core import live_workers as live_workers_module
from api.core.errors import NoWorker
from api.core.live_workers import LiveWorkers, WorkerPool
from contract.worker_registry import WorkerEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from contract.job_queue import JobQueue
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


def pool(service_ms: Sequence[float]) -> WorkerPool:
    entries = tuple(
        WorkerEntry(worker_id="w", host="h", model="m", digest="d" * 64, batch=8, service_ms=milliseconds)
        for milliseconds in service_ms
    )
    memory = cast("RedisMemory", None)
    return WorkerPool(model="m", digest="d" * 64, workers=entries, memory=memory, queued=0, seen_at=0.0)


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

    def __call__(self, _redis: object, _send_too: object) -> list[WorkerEntry]:
        self.asked.set()
        self.answer.wait()
        return []


def test_while_one_request_reads_the_registry_others_use_what_was_read_before(clock, monkeypatch):
    """In a burst a look takes as long as hundreds of requests, which must neither fail nor wait because of it."""
    live_workers = LiveWorkers(cast("Redis", None), cast("JobQueue", None))
    known = pool([20])
    monkeypatch.setattr(live_workers, "_pool", known)
    monkeypatch.setattr(live_workers, "_looked_at", clock.now - 1.5)
    slow = SlowRedis()
    monkeypatch.setattr("contract.worker_registry.live_workers", slow)
    monkeypatch.setattr(live_workers_module, "read_redis_memory", lambda _redis: None)
    with ThreadPoolExecutor() as threads:
        looker = threads.submit(live_workers.pool)
        slow.asked.wait()
        meanwhile = live_workers.pool()
        slow.answer.set()

    assert meanwhile is known
    assert isinstance(looker.exception(), NoWorker)

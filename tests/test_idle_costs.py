"""What a worker asks of Redis while it has nothing to do: a hundred of them share one Redis with what they are for."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.support.scripted_worker import MODEL
from tests.support.workers import ScriptedWorkers, eventually

BEATS = 8
AT_MOST = 75  # commands a heartbeat, which is a second, of a worker with one version
AT_MOST_FOR_ANOTHER = 9  # commands a heartbeat more, of each version beside the first


def test_an_idle_worker_asks_little_and_hardly_more_with_several_versions(workers):
    """Without bounds on it, one version cost 118 commands a second, and each further one 90."""
    costs = {}
    for count in (1, 2, 5):
        worker = workers.start(MODELS=",".join([MODEL, *(f"{MODEL}@{version}" for version in range(2, count + 1))]))
        costs[count] = commands_per_heartbeat(workers)
        worker.kill()
        workers.redis.flushall()
    print({count: f"{cost:.1f} commands" for count, cost in costs.items()})

    assert costs[1] <= AT_MOST
    assert costs[2] <= AT_MOST + AT_MOST_FOR_ANOTHER
    assert costs[5] <= AT_MOST + 4 * AT_MOST_FOR_ANOTHER


def commands_per_heartbeat(workers: ScriptedWorkers) -> float:
    """Counted by heartbeats, of which each looks once what may be loaded: on a busy machine these come late."""
    begun = beats(workers) + 2  # what comes with the start is over
    eventually(lambda: beats(workers) >= begun, "the worker is idle")
    before = commands(workers)
    eventually(lambda: beats(workers) >= begun + BEATS, "heartbeats come")
    spent = commands(workers)
    spent.subtract(before)
    return spent.total() / spent["get"]


def beats(workers: ScriptedWorkers) -> int:
    return commands(workers)["get"]


def commands(workers: ScriptedWorkers) -> Counter[str]:
    """Of the worker's: of the test's own there is ``INFO`` only."""
    stats: dict[str, Any] = workers.redis.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
    return Counter({name: count for name, count in calls.items() if name != "info"})

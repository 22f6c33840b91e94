"""Redis, the queues and the workers as gauges: read when they are asked for, and kept nowhere. See docs/metrics.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from api.core.errors import NoWorker
from contract.errors import BackendDown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client.core import Metric

    from api.core.live_workers import Fleet, LiveWorkers
    from contract.job_queue import Depth, JobQueue

OF_A_VERSION = ("model", "version")


def backend_families(live_workers: LiveWorkers, queue: JobQueue) -> list[Metric]:
    """The default model's numbers as ``/health`` sees them, and each live version's. Of what is away nothing is said.

    Two round trips beside the look at the workers, however many models there are.
    """
    try:
        fleet = live_workers.fleet()
        live = sorted(fleet.pools)
        depths = dict(zip(live, queue.depths(live), strict=True))
        async_depths = dict(zip(live, queue.async_depths(live), strict=True))
    except BackendDown:
        return [_redis_up(0)]
    return [
        _redis_up(1),
        *_of_the_default(fleet, depths),
        *_of_each_version(fleet, depths, async_depths),
        GaugeMetricFamily("classifier_redis_memory_used_bytes", "Memory that Redis uses.", fleet.memory.used_bytes),
        GaugeMetricFamily("classifier_redis_memory_max_bytes", "Redis' limit; 0 for none.", fleet.memory.max_bytes),
    ]


def _redis_up(value: int) -> Metric:
    return GaugeMetricFamily("classifier_redis_up", "Whether Redis answers, 1 or 0.", value)


def _of_the_default(fleet: Fleet, depths: Mapping[str, Depth]) -> list[Metric]:
    try:
        pool = fleet.pool(fleet.served_default())
    except NoWorker:
        return [_workers(0)]
    depth = depths[pool.model]
    return [
        _workers(len(pool.workers)),
        GaugeMetricFamily("classifier_queue_depth", "Pictures waiting for a worker.", depth.requests),
        GaugeMetricFamily("classifier_bulk_queue_depth", "Pictures waiting on the bulk queue.", depth.bulk),
        GaugeMetricFamily("classifier_bulk_service_seconds", "What one of these costs a worker.", pool.mean_bulk_s),
        GaugeMetricFamily(
            "classifier_worker_service_seconds",
            "What a picture costs a worker: the harmonic mean of the workers' moving medians.",
            pool.mean_service_s,
        ),
    ]


def _workers(alive: int) -> Metric:
    return GaugeMetricFamily("classifier_workers", "Workers heard of in the last 5 seconds.", alive)


def _of_each_version(fleet: Fleet, depths: Mapping[str, Depth], async_depths: Mapping[str, int]) -> list[Metric]:
    """Only of versions with live workers: those that are gone must not stay as series for ever."""
    workers = GaugeMetricFamily(
        "classifier_model_workers", "Workers of a version heard of in the last 5 seconds.", labels=OF_A_VERSION
    )
    waiting = GaugeMetricFamily(
        "classifier_model_queue_depth", "Pictures waiting for a version, by queue.", labels=(*OF_A_VERSION, "queue")
    )
    service = GaugeMetricFamily(
        "classifier_model_service_seconds", "What a picture costs a worker of a version.", labels=OF_A_VERSION
    )
    for key, depth in depths.items():
        pool = fleet.pools[key]
        version = (pool.version.name, pool.version.version)
        workers.add_metric(version, len(pool.workers))
        waiting.add_metric((*version, "requests"), depth.requests)
        waiting.add_metric((*version, "bulk"), depth.bulk)
        waiting.add_metric((*version, "jobs"), async_depths[key])
        service.add_metric(version, pool.mean_service_s)
    return [workers, waiting, service]

"""The service's own numbers: ``/stats`` for people and scripts, ``/metrics`` for Prometheus (docs/metrics.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, jsonify, request
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from api.metrics.backend import backend_families
from api.metrics.instruments import Distribution
from api.metrics.recorder import Metrics
from api.services import Services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.typing import ResponseReturnValue
    from prometheus_client.core import Metric

    from api.http.schemas import Stats

bp = Blueprint("stats", __name__)

SUCCESSFUL = "2xx"


@bp.get("/stats")
def show_stats() -> ResponseReturnValue:
    """Classification requests since the API's start, as JSON; all but the uptime are 0 before the first.

    Successful are those that got an answer (2xx), failed all others, honest refusals (503) included, and
    ``success_rate`` is a percentage. The latencies are those of the successful ones: a refusal takes a millisecond,
    and would make the rest look better.
    """
    metrics = Metrics.current()
    by_status = metrics.classifications()
    successful = by_status.get(SUCCESSFUL, Distribution())
    total = sum(distribution.count for distribution in by_status.values())
    uptime_s = metrics.shared.age_s
    body: Stats = {
        "uptime_seconds": round(uptime_s, 1),
        "total_requests": total,
        "successful_requests": successful.count,
        "failed_requests": total - successful.count,
        "success_rate": round(100 * successful.count / total, 1) if total else 0.0,
        "average_latency_ms": round(successful.mean_s * 1000, 2),
        "p95_latency_ms": round(successful.quantile_s(0.95) * 1000, 2),
        "p99_latency_ms": round(successful.quantile_s(0.99) * 1000, 2),
        "requests_per_second": round(total / uptime_s, 3),
    }
    return jsonify(body)


@bp.get("/metrics")
def show_metrics() -> ResponseReturnValue:
    """All that is counted, in Prometheus' text, or OpenMetrics for who asks for that; ``/stats`` for who wants JSON."""
    if request.accept_mimetypes.best_match(["text/plain", "application/json"]) == "application/json":
        return show_stats()
    try:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    except (TypeError, ValueError):  # it can't read every version that a client may ask for
        encode, content_type = choose_encoder("")
    return Response(encode(_Scrape()), content_type=content_type)


class _Scrape(Collector):
    def collect(self) -> Iterator[Metric]:
        metrics = Metrics.current()
        yield from metrics.families()
        yield GaugeMetricFamily(
            "classifier_start_time_seconds", "When the API started, in Unix time.", metrics.shared.begun_at
        )
        services = Services.current()
        yield from _store(services)
        yield from backend_families(services.live_workers, services.queue)


def _store(services: Services) -> list[Metric]:
    """The stored pictures and their disk. Of a folder that can't be read nothing is said."""
    try:
        used, free = services.uploads.room.used_bytes(), services.uploads.room.free_bytes()
    except OSError:
        return []
    return [
        GaugeMetricFamily("classifier_uploads_bytes", "Bytes that stored pictures take.", used),
        GaugeMetricFamily("classifier_disk_free_bytes", "Bytes that the disk of stored pictures has left.", free),
    ]

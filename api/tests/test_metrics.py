"""What the service says of its own work, over HTTP. Several processes: tests/test_stats.py."""

from __future__ import annotations

import io
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import pytest
from PIL import Image
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.core.errors import NoWorker, Overloaded, Undecodable
from api.core.inference import Answer, Inference
from api.core.live_workers import Fleet, WorkerPool
from api.http.problems import problem
from api.services import Services
from api.settings import Settings
from contract.errors import BackendDown
from contract.job_queue import Depth
from contract.messages import Classification, Label, Timings
from contract.model_task import ModelTask
from contract.model_version import ModelVersion
from contract.redis_memory import RedisMemory
from contract.worker_registry import WorkerEntry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flask import Flask
    from flask.testing import FlaskClient

    from api.core.client import Client
    from api.core.inference import Asked, Cache
    from api.core.live_workers import LiveWorkers
    from contract.job_queue import JobQueue
    from contract.model_version import WantedModel

FIELDS = [
    "uptime_seconds",
    "total_requests",
    "successful_requests",
    "failed_requests",
    "success_rate",
    "average_latency_ms",
    "p95_latency_ms",
    "p99_latency_ms",
    "requests_per_second",
]
# As Prometheus 3 sends it.
SCRAPER = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;"
    "q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)

MEMORY = RedisMemory(1_000_000, 256_000_000, "noeviction")


class Backend:
    """Inference, live_workers and queue in one, which do as they are told."""

    def __init__(self) -> None:
        self.cache: Cache = "miss"
        self.busy: Exception | None = None
        self.trouble: Exception | None = None
        self.away: Exception | None = None
        self.live = ["resnet50", "lite@2"]

    def task(self, _model: WantedModel | None = None) -> ModelTask:
        return ModelTask.CLASSIFICATION

    def admit(self, _task: ModelTask, _model: WantedModel | None = None) -> None:
        if self.busy is not None:
            raise self.busy

    def infer(self, _data: bytes, _client: Client, _asked: Asked[Classification]) -> Answer[Classification]:
        if self.trouble is not None:
            raise self.trouble
        seen = Classification("resnet50", "d" * 64, (Label("tabby", 0.9),), Timings(decode=3.0, infer=20.0))
        return Answer("a" * 64, seen, self.cache, waited_ms=100.0)

    def fleet(self) -> Fleet:
        if self.away is not None:
            raise self.away
        versions = tuple(map(ModelVersion.from_key, ("resnet50", "gone@3", *self.live)))
        return Fleet(versions, {}, {model: pool(model) for model in self.live}, MEMORY, default_model="resnet50")

    def depths(self, models: Sequence[str]) -> list[Depth]:
        return [Depth(12, 3) for _ in models]

    def async_depths(self, models: Sequence[str]) -> list[int]:
        return [7 for _ in models]


def pool(model: str) -> WorkerPool:
    worker = WorkerEntry(worker_id="w", host="desk", model=model, digest="d" * 64, batch=8, service_ms=20.0)
    return WorkerPool(model=model, digest="d" * 64, workers=(worker, worker), memory=MEMORY, queued=12, seen_at=0.0)


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def app(tmp_path: Path, backend: Backend) -> Flask:
    settings = Settings(
        upload_dir=tmp_path / "uploads", copies_dir=tmp_path / "copies", feedback_dir=tmp_path, max_upload_mb=1
    )
    services = replace(
        Services.connect(settings),
        queue=cast("JobQueue", backend),
        live_workers=cast("LiveWorkers", backend),
        inference=cast("Inference", backend),
    )
    return create_app(services)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def send(client: FlaskClient, route: str = "/predict", data: bytes | None = None) -> int:
    if data is None:
        encoded = io.BytesIO()
        Image.new("RGB", (8, 8), "teal").save(encoded, "PNG")
        data = encoded.getvalue()
    return client.post(route, data={"file": (io.BytesIO(data), "cat.png")}).status_code


def stats(client: FlaskClient) -> dict[str, Any]:
    response = client.get("/stats")
    assert response.status_code == 200
    return cast("dict[str, Any]", response.json)


def samples(client: FlaskClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every series and its value; none may come twice."""
    found = [
        sample for family in text_string_to_metric_families(client.get("/metrics").text) for sample in family.samples
    ]
    by_series = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found}
    assert len(by_series) == len(found)
    return by_series


def value(client: FlaskClient, name: str, **labels: str) -> float | None:
    return samples(client).get((name, tuple(sorted(labels.items()))))


# /stats


def test_before_the_first_request_every_number_is_there_and_nought(client):
    """A dashboard that is set up first must not break on a missing or empty field."""
    numbers = stats(client)

    assert list(numbers) == FIELDS
    assert numbers.pop("uptime_seconds") >= 0
    assert set(numbers.values()) == {0}


def test_requests_are_told_apart_by_how_they_ended(client, backend):
    """The sender's faults, our own and honest refusals are all failures; none of them is left out."""
    for _ in range(6):
        assert send(client) == 200
    assert send(client, "/") == 200
    assert send(client, data=b"no picture") == 400
    backend.trouble = Undecodable("broken")
    assert send(client, "/") == 422
    backend.busy = Overloaded("busy", 7)
    assert send(client) == 503
    numbers = stats(client)

    assert numbers["total_requests"] == 10
    assert numbers["successful_requests"] == 7
    assert numbers["failed_requests"] == 3
    assert numbers["success_rate"] == 70.0
    assert numbers["requests_per_second"] > 0


def test_the_success_rate_is_a_percentage(client, backend):
    """As the service that this one replaces told it: 98.4 for 1,230 of 1,250. This is about the same of fewer."""
    for _ in range(63):
        send(client)
    backend.trouble = Undecodable("broken")
    send(client)

    assert stats(client)["success_rate"] == 98.4


def test_a_form_without_a_picture_is_no_success(client):
    """It is led back to the page in a millisecond, which would make the percentiles look better."""
    send(client)
    client.post("/")

    numbers = stats(client)
    assert (numbers["successful_requests"], numbers["failed_requests"]) == (1, 1)


def test_only_classification_requests_count(client):
    """A page that is looked at, or a health check every second, would drown what the numbers are for."""
    for route in ("/", "/livez", "/stats", "/metrics", "/nowhere"):
        client.get(route)
    client.post("/feedback", data={})

    assert stats(client)["total_requests"] == 0


def test_refusals_do_not_make_the_latency_look_better(client, backend):
    send(client)
    before = stats(client)
    backend.busy = Overloaded("busy", 7)
    for _ in range(50):
        send(client)
    after = stats(client)

    assert before["average_latency_ms"] > 0
    for field in ("average_latency_ms", "p95_latency_ms", "p99_latency_ms"):
        assert after[field] == before[field]


def test_each_application_counts_for_itself(app, client):
    """Tests, and whoever mounts the service twice, run several in one process."""
    other = create_app(app.extensions["services"]).test_client()
    send(client)

    assert stats(client)["total_requests"] == 1
    assert stats(other)["total_requests"] == 0


# /metrics


@pytest.mark.parametrize(
    "accept", [None, "*/*", "text/plain", "text/html,*/*;q=0.8", "application/openmetrics-text;version=abc"]
)
def test_metrics_are_prometheus_text_unless_something_else_is_asked_for(client, accept):
    send(client)
    response = client.get("/metrics", headers={"Accept": accept} if accept else {})

    assert response.content_type.startswith("text/plain; version=0.0.4")
    assert response.text.startswith("# HELP classifier_http_requests_total Requests answered.\n")


def test_metrics_as_json_are_the_stats(client):
    send(client)
    response = client.get("/metrics", headers={"Accept": "application/json"})

    assert list(response.json) == FIELDS
    assert response.json["total_requests"] == 1


def test_a_scraper_gets_the_format_that_it_likes_best(client):
    """What Prometheus really sends, read by the strict parser of that format."""
    send(client)
    response = client.get("/metrics", headers={"Accept": SCRAPER})

    assert response.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in read_openmetrics(response.text)} >= {"classifier_http_requests"}


def test_every_series_is_ours_and_carries_its_help(client, backend):
    """The names are an interface: dashboards and alerts are built on them."""
    send(client)
    backend.busy = Overloaded("busy", 7)
    send(client)
    families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}

    assert {name: family.type for name, family in families.items()} == {
        "classifier_http_requests": "counter",
        "classifier_http_requests_in_flight": "gauge",
        "classifier_classification_duration_seconds": "histogram",
        "classifier_answers": "counter",
        "classifier_stage_duration_seconds": "histogram",
        "classifier_refusals": "counter",
        "classifier_abandoned": "counter",
        "classifier_body_bytes": "gauge",
        "classifier_slow_uploads": "counter",
        "classifier_connections": "gauge",
        "classifier_refused_connections": "counter",
        "classifier_deleted_bytes": "counter",
        "classifier_bulk": "counter",
        "classifier_wrong_keys": "counter",
        "classifier_candidates_withdrawn": "counter",
        "classifier_inspections": "counter",
        "classifier_camera_snapshots": "counter",
        "classifier_camera_duration_seconds": "histogram",
        "classifier_uploads_bytes": "gauge",
        "classifier_disk_free_bytes": "gauge",
        "classifier_start_time_seconds": "gauge",
        "classifier_redis_up": "gauge",
        "classifier_workers": "gauge",
        "classifier_queue_depth": "gauge",
        "classifier_bulk_queue_depth": "gauge",
        "classifier_bulk_service_seconds": "gauge",
        "classifier_worker_service_seconds": "gauge",
        "classifier_model_workers": "gauge",
        "classifier_model_queue_depth": "gauge",
        "classifier_model_service_seconds": "gauge",
        "classifier_redis_memory_used_bytes": "gauge",
        "classifier_redis_memory_max_bytes": "gauge",
    }
    assert all(family.documentation for family in families.values())


def test_histograms_hold_together(client):
    """Prometheus' rules: buckets only grow towards +Inf, which is the count."""
    for _ in range(5):
        send(client)
    name, labels = "classifier_classification_duration_seconds", (("route", "/predict"), ("status", "2xx"))
    found = samples(client)
    buckets = [count for (series, _), count in found.items() if series == f"{name}_bucket"]

    assert buckets == sorted(buckets)
    assert found[f"{name}_bucket", (("le", "+Inf"), *labels)] == 5
    assert found[f"{name}_count", labels] == 5
    assert found[f"{name}_sum", labels] > 0


def test_requests_are_counted_by_route_and_never_by_path(client):
    """A path that a sender makes up, or a picture's name, must neither become a series nor be given away."""
    client.get(f"/display/{'0' * 64}")
    client.get("/made/up?by=a-sender")
    client.open("/predict", method="MADEUP")
    client.open("/predict", method="PUT")
    series = {labels for name, labels in samples(client) if name == "classifier_http_requests_total"}

    assert {tuple(labels.values()) for labels in map(dict, series)} == {
        ("GET", "/display/<name>", "4xx"),
        ("other", "unmatched", "4xx"),
    }
    assert value(client, "classifier_http_requests_total", method="other", route="unmatched", status="4xx") == 3


def test_answers_are_counted_by_where_they_came_from(client, backend):
    for cache in ("miss", "miss", "hit", "joined"):
        backend.cache = cache
        send(client)

    assert value(client, "classifier_answers_total", cache="miss") == 2
    assert value(client, "classifier_answers_total", cache="hit") == 1
    assert value(client, "classifier_answers_total", cache="joined") == 1


def test_of_computed_answers_alone_it_is_known_where_the_time_went(client, backend):
    """An answer from memory says how long it once took to compute; that time was not spent again."""
    send(client)
    backend.cache = "hit"
    send(client)
    name = "classifier_stage_duration_seconds"
    spent = {stage: value(client, f"{name}_sum", stage=stage) for stage in ("queue", "decode", "infer")}

    assert spent == {"queue": pytest.approx(0.077), "decode": pytest.approx(0.003), "infer": pytest.approx(0.02)}
    assert value(client, f"{name}_count", stage="queue") == 1


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Overloaded("busy", 7), "overloaded"),
        (NoWorker("nobody", 5), "no_worker"),
        (BackendDown("no Redis", 2), "backend_down"),
    ],
)
@pytest.mark.parametrize("route", ["/", "/predict"])
def test_refusals_are_counted_by_their_reason(client, backend, route, refusal, reason):
    """Too much work, no workers and no Redis call for three different remedies; the page's refusals count as well."""
    assert value(client, "classifier_refusals_total", reason=reason) == 0

    backend.busy = refusal
    send(client, route)

    assert value(client, "classifier_refusals_total", reason=reason) == 1


def test_the_requests_being_answered_are_known(client):
    """The scrape itself is one; afterwards none is left over, not even of one that failed."""
    client.get("/nowhere")
    send(client, data=b"no picture")

    assert value(client, "classifier_http_requests_in_flight") == 1


def test_the_queue_and_the_workers_are_shown(client):
    found = samples(client)

    assert found["classifier_redis_up", ()] == 1
    assert found["classifier_workers", ()] == 2
    assert found["classifier_queue_depth", ()] == 12
    assert found["classifier_worker_service_seconds", ()] == 0.02
    assert found["classifier_redis_memory_used_bytes", ()] == 1_000_000
    assert found["classifier_redis_memory_max_bytes", ()] == 256_000_000


def test_a_scrape_without_redis_says_so_and_gives_the_rest(client, backend):
    """Just when something is away the numbers are needed; and a queue of unknown length is not shown as empty."""
    send(client)
    backend.away = BackendDown("gone")
    found = samples(client)

    assert found["classifier_redis_up", ()] == 0
    assert ("classifier_queue_depth", ()) not in found
    assert ("classifier_workers", ()) not in found
    assert found["classifier_answers_total", (("cache", "miss"),)] == 1
    assert stats(client)["total_requests"] == 1


def test_without_workers_there_are_none_though_redis_is_up(client, backend):
    backend.live = []
    found = samples(client)

    assert found["classifier_redis_up", ()] == 1
    assert found["classifier_workers", ()] == 0
    assert ("classifier_queue_depth", ()) not in found
    assert found["classifier_redis_memory_used_bytes", ()] == 1_000_000


def test_each_version_that_is_served_has_its_workers_and_queues(client):
    """Of several models each may want workers of its own; those that nobody serves any more are no series."""
    of_each = [entry for entry in samples(client).items() if entry[0][0].startswith("classifier_model_")]
    told = {(name, tuple(dict(labels).values())): number for (name, labels), number in of_each}

    assert told == {
        (name, of_it): number
        for model in (("resnet50", "1"), ("lite", "2"))
        for name, of_it, number in (
            ("classifier_model_workers", model, 2),
            ("classifier_model_queue_depth", (model[0], "requests", model[1]), 12),
            ("classifier_model_queue_depth", (model[0], "bulk", model[1]), 3),
            ("classifier_model_queue_depth", (model[0], "jobs", model[1]), 7),
            ("classifier_model_service_seconds", model, 0.02),
        )
    }


def test_where_the_default_model_is_away_the_others_are_still_told(client, backend):
    backend.live = ["lite@2"]

    assert value(client, "classifier_workers") == 0
    assert value(client, "classifier_model_workers", model="lite", version="2") == 2


def test_numbers_are_given_while_everything_else_is_refused(client, backend):
    """An operator looks at them just then."""
    backend.busy = Overloaded("busy", 7)

    assert client.get("/stats").status_code == 200
    assert client.get("/metrics").status_code == 200


def test_a_request_that_is_turned_away_before_its_clock_starts_counts_as_well(app, client):
    """Whatever is asked first of all (for a key, or for a limit) must not make its refusal an error of the metrics."""
    app.before_request_funcs[None].insert(0, lambda: problem(HTTPStatus.INTERNAL_SERVER_ERROR, "no"))
    send(client)
    app.before_request_funcs[None].pop(0)

    assert stats(client)["failed_requests"] == 1


def test_pictures_of_the_camera_are_counted_by_what_became_of_them_and_the_taken_ones_timed(app, client):
    """A camera that is down, a wrong token and a camera that is too slow call for three different remedies."""
    count = app.extensions["services"].camera.count_snapshot
    count("taken", 0.2)
    count("timeout", 4.0)
    count("refused", 0.1)

    assert value(client, "classifier_camera_snapshots_total", outcome="taken") == 1
    assert value(client, "classifier_camera_snapshots_total", outcome="refused") == 1
    assert value(client, "classifier_camera_snapshots_total", outcome="unreachable") == 0
    assert value(client, "classifier_camera_duration_seconds_count") == 1
    assert value(client, "classifier_camera_duration_seconds_sum") == 0.2

"""What the API counts and times of itself. What each number is for: docs/metrics.md.

A request is counted when its answer is ready, whatever it is; what the answer was made of when that is known.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, get_args

from flask import Flask, current_app, request

from api.core.errors import CameraOutcome, NoWorker, OverLimit, Overloaded
from api.metrics.instruments import Counter, Distribution, Gauge, Histogram, Row
from contract.errors import BackendDown, OverShare, StoreFull, TemporarilyUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Response
    from prometheus_client.core import Metric
    from werkzeug.routing import Map

    from api.core.inference import Answer, BulkReason
    from api.core.uploads import Reason
    from api.metrics.shared_numbers import SharedNumbers

# Where a model answers while the sender waits, by method and route. /v1/jobs answers before any model does.
_BY_ANY_METHOD = ("/main", "/main/with-camera")
_BY_POST = (
    *("/", "/predict", "/infer", "/infer/batch", "/detect", "/detect/batch"),
    *("/v1/inspections", "/inspect", "/inference", *_BY_ANY_METHOD),
    *("/v2/models/<name>/infer", "/v2/models/<name>/versions/<version>/infer"),
)
CLASSIFYING = {*(("POST", route) for route in _BY_POST), *(("GET", route) for route in _BY_ANY_METHOD)}
STATUSES = {2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
UNMATCHED = ("other", "unmatched")  # neither what senders make up as paths nor as methods may become a series
REASONS = {
    Overloaded: "overloaded",
    NoWorker: "no_worker",
    BackendDown: "backend_down",
    StoreFull: "store_full",
    OverShare: "over_share",
    OverLimit: "over_limit",
}
BULK_FOR: tuple[BulkReason, ...] = ("costly", "crowding")
DELETED_FOR: tuple[Reason, ...] = ("room", "age", "refused", "done", "asked")


class Metrics:
    """One per application; its numbers are those of all processes that share them."""

    def __init__(self, shared: SharedNumbers, routes: Map) -> None:
        self.shared = shared
        self._row = row = Row(shared)
        series = [(*place, status) for place in _places(routes) for status in STATUSES.values()]
        self._requests = Counter(
            row, "classifier_http_requests", "Requests answered.", ("method", "route", "status"), series
        )
        self._in_flight = Gauge(row, "classifier_http_requests_in_flight", "Requests being answered.")
        self._classifying = Histogram(
            row,
            "classifier_classification_duration_seconds",
            "From reading a classification request's first line to its answer.",
            ("route", "status"),
            dict.fromkeys((route, status) for method, route, status in series if (method, route) in CLASSIFYING),
        )
        self._answers = Counter(
            row,
            "classifier_answers",
            "Pictures answered, by where the answer came from.",
            ("cache",),
            [("hit",), ("joined",), ("miss",)],
        )
        self._stages = Histogram(
            row,
            "classifier_stage_duration_seconds",
            "Where the time of a computed answer went; infer is the session run of its whole batch.",
            ("stage",),
            [("queue",), ("decode",), ("infer",)],
        )
        self._refusals = Counter(
            row,
            "classifier_refusals",
            "Requests refused for the time being, with the advice to come again.",
            ("reason",),
            [(reason,) for reason in REASONS.values()],
        )
        self._abandoned = Counter(
            row, "classifier_abandoned", "Pictures whose clients hung up before the answer.", (), [()]
        )
        self._body_bytes = Gauge(row, "classifier_body_bytes", "Bytes of request bodies that are being read.")
        self._slow_uploads = Counter(
            row, "classifier_slow_uploads", "Uploads refused because they came too slowly.", (), [()]
        )
        self._connections = Gauge(row, "classifier_connections", "Open connections of clients.")
        self._refused_connections = Counter(
            row,
            "classifier_refused_connections",
            "Connections refused because their peer had its share of them.",
            (),
            [()],
        )
        self._deleted_bytes = Counter(
            row,
            "classifier_deleted_bytes",
            "Bytes of stored pictures deleted, by why.",
            ("reason",),
            [(reason,) for reason in DELETED_FOR],
        )
        self._bulk = Counter(
            row,
            "classifier_bulk",
            "Pictures sent to the bulk queue, by why.",
            ("reason",),
            [(reason,) for reason in BULK_FOR],
        )
        self._wrong_keys = Counter(
            row, "classifier_wrong_keys", "Requests refused for a key that nobody has.", (), [()]
        )
        self._withdrawn = Counter(
            row,
            "classifier_candidates_withdrawn",
            "Candidates that lost their share of the pictures because their computations failed.",
            (),
            [()],
        )
        self._inspections = Counter(
            row, "classifier_inspections", "Pictures held against a pattern.", ("decision",), [("good",), ("bad",)]
        )
        self._snapshots = Counter(
            row,
            "classifier_camera_snapshots",
            "Pictures asked of the camera, by what became of it.",
            ("outcome",),
            [(outcome,) for outcome in get_args(CameraOutcome)],
        )
        self._snapshot_times = Histogram(
            row,
            "classifier_camera_duration_seconds",
            "What a picture of the camera took once its turn had come, further tries included.",
            (),
            [()],
        )
        row.open()
        self._in_flight.clear()
        self._connections.clear()
        self._body_bytes.clear()

    @classmethod
    def install(cls, app: Flask, shared: SharedNumbers) -> Self:
        """Count what ``app`` answers; to be called when it has all its routes."""
        metrics = cls(shared, app.url_map)
        app.extensions["metrics"] = metrics
        app.after_request(metrics.enter)
        app.wsgi_app = metrics.counting_in_flight(app.wsgi_app)  # type: ignore[assignment]  # Flask's way
        return metrics

    @classmethod
    def current(cls) -> Self:
        found = current_app.extensions["metrics"]
        assert isinstance(found, cls)  # noqa: S101  # we have put it there
        return found

    def enter(self, response: Response) -> Response:
        """Enter the current request with its answer."""
        # Each attribute of a proxy costs more than the entry that is made with it.
        asked = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
        status = STATUSES[response.status_code // 100]
        place = (asked.method, asked.url_rule.rule) if asked.url_rule is not None else UNMATCHED
        if (*place, status) not in self._requests:
            place = UNMATCHED
        self._requests.add(*place, status)
        if place in CLASSIFYING:
            self._classifying.observe(time.perf_counter() - asked.started, place[1], status)
        return response

    def count_answer(self, answer: Answer[Any]) -> None:
        """One picture has been answered."""
        self._answers.add(answer.cache)
        if answer.cache == "miss":
            timings = answer.found.timings_ms
            self._stages.observe(answer.queued_ms / 1000, "queue")
            self._stages.observe(timings.decode / 1000, "decode")
            self._stages.observe(timings.infer / 1000, "infer")

    def count_refusal(self, error: TemporarilyUnavailable) -> None:
        """A request has been refused for the time being."""
        self._refusals.add(next(reason for kind, reason in REASONS.items() if isinstance(error, kind)))

    def count_abandoned(self) -> None:
        """A client has hung up while it waited for a picture's answer."""
        self._abandoned.add()

    def count_bulk(self, reason: BulkReason) -> None:
        """A picture has been sent to the bulk queue."""
        self._bulk.add(reason)

    def count_deleted(self, reason: Reason, size_bytes: int) -> None:
        """Stored pictures have been deleted."""
        self._deleted_bytes.add(reason, by=size_bytes)

    def count_slow_upload(self) -> None:
        """An upload has been refused because it came too slowly."""
        self._slow_uploads.add()

    def count_wrong_key(self) -> None:
        """A request had a key that the service does not know."""
        self._wrong_keys.add()

    def count_withdrawn(self) -> None:
        """A candidate has lost its share."""
        self._withdrawn.add()

    def count_inspection(self, *, good: bool) -> None:
        """A picture has been held against a pattern."""
        self._inspections.add("good" if good else "bad")

    def count_snapshot(self, outcome: CameraOutcome, seconds: float) -> None:
        """A picture has been asked of the camera; the times of those that were taken are kept."""
        self._snapshots.add(outcome)
        if outcome == "taken":
            self._snapshot_times.observe(seconds)

    @contextmanager
    def connection_open(self) -> Iterator[None]:
        """Count one more connection while the context lasts."""
        self._connections.change(1)
        try:
            yield
        finally:
            self._connections.change(-1)

    def count_refused_connection(self) -> None:
        """A connection has been closed because its peer had its share of them."""
        self._refused_connections.add()

    @contextmanager
    def holding_body(self) -> Iterator[Callable[[int], None]]:
        """Count the bytes of a body while the context lasts; yields what counts, called with each piece's size."""
        held = 0

        def hold(size_bytes: int) -> None:
            nonlocal held
            held += size_bytes
            self._body_bytes.change(size_bytes)

        try:
            yield hold
        finally:
            self._body_bytes.change(-held)

    def counting_in_flight(self, application: WSGIApplication) -> WSGIApplication:
        def counted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            self._in_flight.change(1)
            try:
                return application(environ, start_response)
            finally:
                self._in_flight.change(-1)

        return counted

    def families(self) -> list[Metric]:
        """Every instrument with its numbers of all processes, for Prometheus."""
        sums = self._row.sums()
        instruments = (
            self._requests, self._in_flight, self._classifying, self._answers, self._stages, self._refusals,
            self._abandoned, self._body_bytes, self._slow_uploads, self._connections, self._refused_connections,
            self._deleted_bytes, self._bulk, self._wrong_keys, self._withdrawn,
            self._inspections,
            self._snapshots, self._snapshot_times,
        )  # fmt: skip
        return [instrument.family(sums) for instrument in instruments]

    def classifications(self) -> dict[str, Distribution]:
        """How long the classification requests took, by the class of their status."""
        by_status: dict[str, Distribution] = {}
        for (_, status), distribution in self._classifying.distributions(self._row.sums()).items():
            by_status[status] = by_status.get(status, Distribution()) + distribution
        return by_status


def _places(routes: Map) -> Iterator[tuple[str, str]]:
    """Method and route of all that can be asked for, each once, and one for everything else."""
    yield from sorted({(method, rule.rule) for rule in routes.iter_rules() for method in rule.methods or ()})
    yield UNMATCHED

"""What the API counts and times of itself. What each number is for: docs/metrics.md.

A request is counted when its answer is ready, whatever it is; what the answer was made of when that is known.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from flask import Flask, current_app, request

from api.core.errors import NoWorker, Overloaded
from api.metrics.families import Families
from api.metrics.processes import Start
from contract.errors import BackendDown, TemporarilyUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Response
    from prometheus_client.core import Metric, Sample
    from werkzeug.routing import Map

    from api.core.inference import Answer
    from api.metrics.processes import ProcessFolder

# The routes whose POST classifies while its sender waits. /v1/jobs answers before anything is classified.
CLASSIFYING = {"/", "/predict", "/infer", "/infer/batch"}
STATUSES = {2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
UNMATCHED = ("other", "unmatched")  # neither what senders make up as paths nor as methods may become a series
CACHES = ("hit", "joined", "miss")
REASONS = {Overloaded: "overloaded", NoWorker: "no_worker", BackendDown: "backend_down"}


class Metrics:
    """One per application. Its numbers are those of all processes that count in ``folder``; without one, its own."""

    def __init__(self, routes: Map, folder: ProcessFolder | None) -> None:
        self.start = Start() if folder is None else folder.start
        self._places = {(method, rule.rule) for rule in routes.iter_rules() for method in rule.methods or ()}
        self._families = Families(folder, caches=CACHES, reasons=tuple(REASONS.values()))

    @classmethod
    def install(cls, app: Flask, folder: ProcessFolder | None = None) -> Self:
        """Count what ``app`` answers; to be called when it has all its routes."""
        metrics = cls(app.url_map, folder)
        app.extensions["metrics"] = metrics
        app.after_request(metrics.enter)
        app.wsgi_app = metrics.counting_in_flight(app.wsgi_app)  # type: ignore[assignment]  # Flask's way
        return metrics

    @classmethod
    def current(cls) -> Self:
        found = current_app.extensions["metrics"]
        assert isinstance(found, cls)
        return found

    def enter(self, response: Response) -> Response:
        """Enter the current request with its answer."""
        # Each attribute of a proxy costs more than the entry that is made with it.
        asked = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
        status = STATUSES[response.status_code // 100]
        place = (asked.method, asked.url_rule.rule) if asked.url_rule is not None else UNMATCHED
        method, route = place if place in self._places else UNMATCHED
        self._families.requests[method, route, status].inc()
        if method == "POST" and route in CLASSIFYING:
            self._families.classifying[route, status].observe(time.perf_counter() - asked.started)
        return response

    def count_answer(self, answer: Answer) -> None:
        """One picture has been answered."""
        self._families.answers[answer.cache,].inc()
        if answer.cache == "miss":
            stages, timings = self._families.stages, answer.classification.timings_ms
            stages["queue",].observe(answer.queued_ms / 1000)
            stages["decode",].observe(timings.decode / 1000)
            stages["infer",].observe(timings.infer / 1000)

    def count_refusal(self, error: TemporarilyUnavailable) -> None:
        """A request has been refused for the time being."""
        reason = next(reason for kind, reason in REASONS.items() if isinstance(error, kind))
        self._families.refusals[reason,].inc()

    def counting_in_flight(self, application: WSGIApplication) -> WSGIApplication:
        in_flight = self._families.in_flight

        def counted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            in_flight.inc()
            try:
                return application(environ, start_response)
            finally:
                in_flight.dec()

        return counted

    def families(self) -> list[Metric]:
        """Everything with its numbers of all processes, for Prometheus."""
        return list(self._families.read().values())

    def classifications(self) -> list[Sample]:
        """The histogram of how long the classification requests took, by their route and the class of their status."""
        return self._families.read()["classifier_classification_duration_seconds"].samples

"""``create_app``: wires blueprints and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask

from api import admin, answer_headers, infer, jobs, operations, pages, predict, problems, stats
from api.forms import FormRequest
from api.ledger import Ledger
from api.metrics import Metrics
from api.reference import pages as reference

if TYPE_CHECKING:
    from flask import Response

    from api.services import Services

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(services: Services, ledger: Ledger | None = None) -> Flask:
    """The application; it counts on ``ledger``, or on one of its own."""
    app = Flask(__name__)
    app.request_class = FormRequest
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_upload_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]  # bodies keep the documented order
    services.install(app)
    problems.register(app)
    for room in (pages, predict, infer, jobs, operations, stats, admin, reference):
        app.register_blueprint(room.bp)
    app.before_request(answer_headers.start_clock)
    app.after_request(_add_security_headers)
    Metrics.install(app, ledger or Ledger())
    return app


def _add_security_headers(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response

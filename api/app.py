"""``create_app``: wires blueprints and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask

from api.http.access import require_key
from api.http.browsers import guard_against_browsers
from api.http.form_parser import FormRequest
from api.http.limits import add_limits, count_request
from api.http.problems import Problems
from api.http.public_address import PublicAddress
from api.http.trace import add_request_id
from api.http.unread_body import discard_after
from api.metrics.recorder import Metrics
from api.metrics.shared_numbers import SharedNumbers
from api.openapi import pages as openapi
from api.views import (
    admin,
    detect,
    feedback,
    health,
    infer,
    inspect_page,
    inspections,
    jobs,
    models,
    open_inference,
    pages,
    patterns,
    predict,
    reload,
    replaced,
    replaced_main,
    stats,
)

if TYPE_CHECKING:
    from api.services import Services


def create_app(services: Services, shared_numbers: SharedNumbers | None = None) -> Flask:
    """The application; it counts in ``shared_numbers``, together with other processes, or for itself."""
    app = Flask(__name__)
    app.request_class = FormRequest
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_upload_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]  # bodies keep the documented order
    services.install(app)
    guard_against_browsers(app, services.settings)
    for view in (
        pages,
        predict,
        infer,
        detect,
        inspections,
        inspect_page,
        patterns,
        replaced,
        replaced_main,
        jobs,
        models,
        open_inference,
        feedback,
        health,
        stats,
        admin,
        reload,
        openapi,
    ):
        app.register_blueprint(view.bp)
    app.before_request(require_key)
    app.before_request(count_request)
    app.context_processor(  # every page's header and footer
        lambda: {"keys_needed": services.keyring.shut, "has_patterns": bool(services.patterns.all())}
    )
    app.after_request(add_limits)
    app.after_request(discard_after)
    app.after_request(add_request_id)
    metrics = Metrics.install(app, shared_numbers or SharedNumbers())
    services.uploads.count_deleted = metrics.count_deleted
    services.inference.count_bulk = metrics.count_bulk
    services.watch.count_withdrawn = metrics.count_withdrawn
    services.camera.count_snapshot = metrics.count_snapshot
    Problems(metrics.count_refusal).register(app)
    settings = services.settings
    app.wsgi_app = PublicAddress(app.wsgi_app, settings.trusted_proxies, settings.root_path)  # type: ignore[method-assign]
    return app

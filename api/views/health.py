"""For operators and orchestrators: is the process alive, can it serve, and how is the whole service."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, make_response, render_template

from api import VERSION
from api.core.errors import NoWorker
from api.core.readiness import ready_pool
from api.http.html import prefers_page
from api.services import Services
from contract.errors import BackendDown

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from api.http.schemas import Alive, Health, Ready

log = logging.getLogger(__name__)

bp = Blueprint("health", __name__)


@bp.get("/livez")
def livez() -> ResponseReturnValue:
    """This process answers; nothing else is checked."""
    body: Alive = {"status": "ok"}
    return jsonify(body)


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Requests can be served now.

    Raises:
        BackendDown, NoWorker: as ``ready_pool``.
    """
    services = Services.current()
    pool = ready_pool(services.queue, services.store, services.live_workers)
    body: Ready = {"status": "ready", "model": pool.version.name, "workers": len(pool.workers)}
    return jsonify(body)


@bp.get("/health")
def health() -> ResponseReturnValue:
    """The state of the whole service, always 200: "degraded" means that something is down, and ``reason`` says what.

    JSON, unless the client prefers a page.
    """
    report = _report()
    response = make_response(render_template("health.html", report=report) if prefers_page() else jsonify(report))
    response.headers["Cache-Control"] = "no-store"  # one address, two forms, and true for a moment only
    return response


def _report() -> Health:
    services = Services.current()
    report: Health = {"status": "ok", "version": VERSION, "model_loaded": False, "workers": 0}
    try:
        services.store.check_writable()
        pool = services.live_workers.default_pool()
        report |= {
            "model_loaded": True,
            "workers": len(pool.workers),
            "model": pool.version.name,
            "model_version": pool.version.version,
            "digest": pool.digest,
            "queued": services.queue.depth(pool.model),
        }
    except (BackendDown, NoWorker) as error:
        report |= {"status": "degraded", "reason": _reason(services, error)}
    return report


def _reason(services: Services, error: BackendDown | NoWorker) -> str:
    if isinstance(error, BackendDown):
        if error.cause:  # it may name places, which are nobody else's business
            log.warning("%s (%s)", error, error.cause)
        return str(error)
    try:
        why = services.live_workers.why_none()
    except BackendDown as down:
        return _reason(services, down)
    return f"{error}: {why}" if why else str(error)

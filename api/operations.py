"""For operators and orchestrators: is the process alive, can it serve, how is the whole doing."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, jsonify

from api.errors import BackendDown, NoWorker
from api.services import Services
from contract.errors import QueueUnavailable, StoreUnwritable

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

bp = Blueprint("operations", __name__)


@bp.get("/livez")
def livez() -> ResponseReturnValue:
    """This process answers; nothing else is looked at."""
    return jsonify(status="ok")


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Requests can be served now.

    Raises:
        BackendDown: Redis or the upload volume is away, or Redis is set to forget what was accepted.
        NoWorker: no worker is ready.
    """
    services = Services.current()
    try:
        services.queue.ping()
        services.store.check_writable()
        crew = services.staff.crew()
    except (QueueUnavailable, StoreUnwritable) as error:
        raise BackendDown(str(error), retry_after_s=2) from error
    if not crew.memory.never_forgets:
        raise BackendDown(f"Redis would forget jobs: its maxmemory-policy is {crew.memory.policy}", retry_after_s=60)
    return jsonify(status="ready", model=crew.model, workers=len(crew.workers))


@bp.get("/health")
def health() -> ResponseReturnValue:
    """How the whole is doing, always 200: "degraded" says that something is away, and what."""
    services = Services.current()
    report: dict[str, object] = {"status": "ok", "model_loaded": False, "workers": 0}
    try:
        services.store.check_writable()
        crew = services.staff.crew()
        report |= {
            "model_loaded": True,
            "workers": len(crew.workers),
            "model": crew.model,
            "digest": crew.digest,
            "queued": services.queue.depth(crew.model),
        }
    except (QueueUnavailable, StoreUnwritable, NoWorker) as error:
        report |= {"status": "degraded", "reason": str(error)}
    return jsonify(report), HTTPStatus.OK

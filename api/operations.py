"""For operators and orchestrators: is the process alive, can it serve, how is the whole doing."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, jsonify

from api.bodies import Alive, Health, Ready
from api.errors import RETRY_LATER_S, RETRY_SOON_S, BackendDown, NoWorker
from api.reference.operation import JSON, Answer, Content, Operation, documented
from api.services import Services
from contract.errors import QueueUnavailable, StoreUnwritable

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

bp = Blueprint("operations", __name__)


ALIVE: Alive = {"status": "ok"}
READY: Ready = {"status": "ready", "model": "resnet50", "workers": 2}
HEALTHY: Health = {
    "status": "ok",
    "model_loaded": True,
    "workers": 2,
    "model": "resnet50",
    "digest": "3bb5c3a91d2e" + 52 * "0",
    "queued": 0,
}


@bp.get("/livez")
@documented(Operation(tag="Operations", answers={200: Answer("It does.", {JSON: Content(Alive, ALIVE)})}))
def livez() -> ResponseReturnValue:
    """This process answers; nothing else is looked at."""
    return jsonify(ALIVE)


@bp.get("/readyz")
@documented(
    Operation(
        tag="Operations",
        answers={200: Answer("They can.", {JSON: Content(Ready, READY)})},
        raises=[BackendDown, NoWorker],
    )
)
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
        raise BackendDown(str(error), RETRY_SOON_S) from error
    if not crew.memory.never_forgets:
        raise BackendDown(f"Redis would forget jobs: its maxmemory-policy is {crew.memory.policy}", RETRY_LATER_S)
    body: Ready = {"status": "ready", "model": crew.model, "workers": len(crew.workers)}
    return jsonify(body)


@bp.get("/health")
@documented(
    Operation(
        tag="Operations",
        answers={200: Answer("How it is doing.", {JSON: Content(Health, HEALTHY)})},
    )
)
def health() -> ResponseReturnValue:
    """How the whole is doing, always 200: "degraded" says that something is away, and what."""
    services = Services.current()
    report: Health = {"status": "ok", "model_loaded": False, "workers": 0}
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

"""``/v1/jobs``: classification for those who come back for the answer; a job outlives restarts of the service."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from flask import Blueprint, jsonify, request, url_for
from pydantic import Field
from werkzeug.exceptions import RequestEntityTooLarge

from api.bodies import Job, JobResult, PictureForm
from api.errors import (
    BackendDown,
    InvalidParameter,
    InvalidUpload,
    JobEnded,
    KeyReusedForAnother,
    NoSuchJob,
    TemporarilyUnavailable,
)
from api.parameters import LABELS_WANTED, Wanted
from api.reference.operation import JSON, Answer, Content, Header, Operation, Parameter, documented
from api.services import Services
from api.upload import Upload
from contract.messages import Classification

if TYPE_CHECKING:
    from flask import Response
    from flask.typing import ResponseReturnValue

    from contract.tickets import Ticket

bp = Blueprint("jobs", __name__, url_prefix="/v1/jobs")

IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")  # printable ASCII, as a string of HTTP's structured fields holds

QUEUED: Job = {
    "id": "9e1d1f0c6b3e4f5a8b7c6d5e4f3a2b1c",
    "state": "queued",
    "created": "2026-01-31T12:00:00+00:00",
    "expires": "2026-02-01T12:00:00+00:00",
    "links": {"self": "/v1/jobs/9e1d1f0c6b3e4f5a8b7c6d5e4f3a2b1c"},
}
DONE: Job = {
    **QUEUED,
    "state": "done",
    "result": {
        "model": "resnet50",
        "digest": "3bb5c3a91d2e" + 52 * "0",
        "predictions": [{"label": "Egyptian_cat", "confidence": 0.7587}, {"label": "tiger_cat", "confidence": 0.1556}],
        "inference_time_ms": 23.1,
    },
}
ASK_AGAIN = {"Retry-After": Header("Seconds after which to ask again; while it is not ended.", int, 1, always=False)}
ID = Parameter("ticket_id", "path", Annotated[str, Field(pattern="^[0-9a-f]{32}$")], "The job's ID.")
KEY = Parameter(
    "Idempotency-Key",
    "header",
    Annotated[str, Field(pattern="^[ -~]{1,255}$")],
    "Sent again with the same picture and parameters, it brings the same job.",
    "3f2c9a52-order-17",
)


@bp.post("")
@documented(
    Operation(
        tag="Jobs",
        form=PictureForm,
        parameters=[*LABELS_WANTED, KEY],
        answers={
            202: Answer(
                "It is accepted.",
                {JSON: Content(Job, QUEUED)},
                {**ASK_AGAIN, "Location": Header("The job's address.", example=QUEUED["links"]["self"])},
            )
        },
        raises=[InvalidUpload, KeyReusedForAnother, RequestEntityTooLarge, TemporarilyUnavailable],
    )
)
def submit() -> ResponseReturnValue:
    """Accept one picture: 202, and in ``Location`` where its job is; ``top_k`` and ``min_score`` as everywhere.

    The same ``Idempotency-Key`` with the same picture and parameters brings the same job, with the same status.

    Raises:
        InvalidParameter: the key is none, or a parameter is out of range.
        ApiError: as ``Upload.from_request`` and ``TicketDesk`` do.
    """
    services = Services.current()
    services.desk.admit()
    key = idempotency_key()
    wanted = Wanted.from_request(request, services.settings)
    ticket = services.desk.accept(Upload.from_request(request, services.settings), wanted, key)
    response = _shown(ticket)
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = _address(ticket)
    return response


@bp.get("/<ticket_id>")
@documented(
    Operation(
        tag="Jobs",
        parameters=[ID],
        answers={200: Answer("The job.", {JSON: Content(Job, DONE)}, ASK_AGAIN)},
        raises=[NoSuchJob, BackendDown],
    )
)
def show(ticket_id: str) -> ResponseReturnValue:
    """The job as it stands; while it is queued or running, ``Retry-After`` says when to ask again.

    Raises:
        NoSuchJob: there is none, or it has expired.
    """
    return _shown(Services.current().desk.read(ticket_id))


@bp.delete("/<ticket_id>")
@documented(
    Operation(
        tag="Jobs",
        parameters=[ID],
        answers={200: Answer("The job, cancelled.", {JSON: Content(Job, {**QUEUED, "state": "cancelled"})})},
        raises=[NoSuchJob, JobEnded, BackendDown],
    )
)
def cancel(ticket_id: str) -> ResponseReturnValue:
    """Cancel the job, which stays readable as cancelled; cancelling it again changes nothing.

    Raises:
        JobEnded: it is done or has failed, and stays so.
        NoSuchJob: there is none, or it has expired.
    """
    return _shown(Services.current().desk.cancel(ticket_id))


def idempotency_key() -> str | None:
    """The request's ``Idempotency-Key``, or None where it has none.

    By the IETF's draft it is a quoted string; many clients send it bare. Both spell the same key.

    Raises:
        InvalidParameter: it is empty, too long, or holds other than printable ASCII characters.
    """
    raw = request.headers.get("Idempotency-Key")
    if raw is None:
        return None
    quoted = len(raw) > 1 and raw[0] == raw[-1] == '"'
    key = raw[1:-1] if quoted else raw
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidParameter("Idempotency-Key must be 1 to 255 printable ASCII characters")
    return key


def _shown(ticket: Ticket) -> Response:
    body: Job = {
        "id": ticket.id,
        "state": ticket.state.value,
        "created": ticket.created.isoformat(),
        "expires": ticket.expires.isoformat(),
        "links": {"self": _address(ticket)},
    }
    if isinstance(ticket.outcome, Classification):
        body["result"] = _result(ticket, ticket.outcome)
    elif ticket.outcome is not None:
        body["error"] = {"kind": ticket.outcome.kind, "detail": ticket.outcome.detail}
    response = jsonify(body)
    response.headers["Cache-Control"] = "no-store"
    retry_after_s = Services.current().desk.retry_after_s(ticket)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def _result(ticket: Ticket, found: Classification) -> JobResult:
    wanted = Wanted(ticket.wish.top_k, ticket.wish.min_score, named=True)
    return {
        "model": found.model,
        "digest": found.digest,
        **wanted.inferred(found),
    }


def _address(ticket: Ticket) -> str:
    return url_for("jobs.show", ticket_id=ticket.id)

"""``/v1/jobs``: classification for those who come back for the answer; a job outlives restarts of the service."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, jsonify, request, url_for

from api.errors import InvalidParameter
from api.parameters import Wanted
from api.services import Services
from api.upload import Upload
from contract.messages import Classification

if TYPE_CHECKING:
    from flask import Response
    from flask.typing import ResponseReturnValue

    from contract.tickets import Ticket

bp = Blueprint("jobs", __name__, url_prefix="/v1/jobs")

IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")  # printable ASCII, as a string of HTTP's structured fields holds


@bp.post("")
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
def show(ticket_id: str) -> ResponseReturnValue:
    """The job as it stands; while it is queued or running, ``Retry-After`` says when to ask again.

    Raises:
        NoSuchJob: there is none, or it has expired.
    """
    return _shown(Services.current().desk.read(ticket_id))


@bp.delete("/<ticket_id>")
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
    body: dict[str, Any] = {
        "id": ticket.id,
        "state": ticket.state.value,
        "created": ticket.created.isoformat(),
        "expires": ticket.expires.isoformat(),
        "links": {"self": _address(ticket)},
    }
    if isinstance(ticket.outcome, Classification):
        body["result"] = _result(ticket, ticket.outcome)
    elif ticket.outcome is not None:
        body["error"] = {"kind": ticket.outcome.kind.value, "detail": ticket.outcome.detail}
    response = jsonify(body)
    response.headers["Cache-Control"] = "no-store"
    retry_after_s = Services.current().desk.retry_after_s(ticket)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def _result(ticket: Ticket, found: Classification) -> dict[str, Any]:
    timings = found.timings_ms
    wanted = Wanted(ticket.wish.top_k, ticket.wish.min_score, named=True)
    return {
        "model": found.model,
        "digest": found.digest,
        "predictions": [{"label": entry.label, "confidence": entry.score} for entry in wanted.labels_of(found)],
        "inference_time_ms": round(timings.decode + timings.infer, 1),
    }


def _address(ticket: Ticket) -> str:
    return url_for("jobs.show", ticket_id=ticket.id)

"""``/v1/jobs``: classification whose answer is fetched later; a job outlives restarts of the service."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, request, url_for

from api.core.errors import InvalidParameter
from api.http.caller import current_caller, current_client
from api.http.parameters import Wanted, inferred, model_in_query, page_number
from api.http.picture_address import address_of
from api.http.upload import Upload
from api.services import Services
from contract.messages import Classification

if TYPE_CHECKING:
    from flask import Response
    from flask.typing import ResponseReturnValue

    from api.http.schemas import Job, JobList
    from contract.async_jobs import AsyncJob

bp = Blueprint("jobs", __name__, url_prefix="/v1/jobs")

IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")  # printable ASCII, as a string of HTTP's structured fields holds


@bp.post("")
def submit() -> ResponseReturnValue:
    """Accept one picture: 202, with the job's address in ``Location``; the parameters are those of other routes.

    The same ``Idempotency-Key`` with the same picture and parameters returns the same job, with the same status.

    Raises:
        InvalidParameter: the key is not valid, or a parameter is out of range.
        ServiceError: as ``Upload.from_request`` and ``AsyncInference`` do.
    """
    services = Services.current()
    services.async_inference.admit(model_in_query(request))
    key = idempotency_key()
    wanted = Wanted.from_request(request, services.settings)
    upload = Upload.from_request(request, services.settings)
    job = services.async_inference.create(
        upload.data,
        current_client(),
        model=wanted.model,
        top_k=wanted.top_k,
        min_score=wanted.min_score,
        top_k_sent=wanted.top_k_sent,
        strict=wanted.strict,
        animated=upload.animated,
        key=key,
    )
    response = _shown(job)
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = _address(job)
    return response


@bp.get("")
def list_own() -> ResponseReturnValue:
    """A page of the key's jobs, the latest first, without their results: to look at the list is not to fetch them.

    Raises:
        Closed: there are no keys, so nobody can tell whose jobs are whose.
        InvalidParameter: ``page`` is not valid.
    """
    page = page_number(request)
    jobs, more = Services.current().async_inference.listed(current_caller().sender, page)
    body: JobList = {"jobs": [_head(job) for job in jobs], "page": page, "more": more}
    return jsonify(body)


@bp.get("/<job_id>")
def show(job_id: str) -> ResponseReturnValue:
    """The job in its current state; while it is queued or running, ``Retry-After`` says when to ask again.

    Raises:
        JobNotFound: there is no such job, or it has expired.
    """
    return _shown(Services.current().async_inference.read(job_id, current_caller().sender))


@bp.delete("/<job_id>")
def cancel(job_id: str) -> ResponseReturnValue:
    """Cancel the job, which stays readable as cancelled; cancelling it again changes nothing.

    Raises:
        JobEnded: it is done or has failed, and stays so.
        JobNotFound: there is no such job, or it has expired.
    """
    return _shown(Services.current().async_inference.cancel(job_id, current_caller().sender))


def idempotency_key() -> str | None:
    """The request's ``Idempotency-Key``, or None if it has none.

    In the IETF's draft it is a quoted string; many clients send it bare. Both mean the same key.

    Raises:
        InvalidParameter: it is empty, too long, or has characters other than printable ASCII.
    """
    raw = request.headers.get("Idempotency-Key")
    if raw is None:
        return None
    quoted = len(raw) > 1 and raw[0] == raw[-1] == '"'
    key = raw[1:-1] if quoted else raw
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidParameter("Idempotency-Key must be 1 to 255 printable ASCII characters")
    return key


def _head(job: AsyncJob) -> Job:
    return {
        "id": job.id,
        "image": job.request.picture,
        "state": job.state.value,
        "created": job.created.isoformat(),
        "expires": job.expires.isoformat(),
        "links": {"self": _address(job), "display": address_of(job.request.picture)},
    }


def _shown(job: AsyncJob) -> Response:
    body = _head(job)
    if isinstance(job.outcome, Classification):
        found = job.outcome
        body["result"] = {
            "model": found.model,
            "version": found.version,
            "digest": found.digest,
            **inferred(found, job.request, animated=job.request.animated),
        }
    elif job.outcome is not None:
        body["error"] = {"kind": job.outcome.kind, "detail": job.outcome.detail}
    response = jsonify(body)
    response.headers["Cache-Control"] = "no-store"
    retry_after_s = Services.current().async_inference.retry_after_s(job)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def _address(job: AsyncJob) -> str:
    return url_for("jobs.show", job_id=job.id)

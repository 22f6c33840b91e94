"""``/v1/jobs``: answers of a classifier or a detector, fetched later; a job outlives restarts of the service."""

from __future__ import annotations

import re
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, request, url_for

from api.core.errors import InvalidParameter
from api.http.caller import current_caller, current_client
from api.http.detection_parameters import WantedObjects, detected
from api.http.parameters import Wanted, inferred, model_in_query, model_of, page_number, sent
from api.http.picture_address import address_of
from api.http.upload import Upload
from api.services import Services
from contract.async_jobs import JobRequest
from contract.messages import Classification, Detection
from contract.model_task import ModelTask

if TYPE_CHECKING:
    from flask import Response
    from flask.typing import ResponseReturnValue

    from api.http.schemas import AnsweredBy, Job, JobList
    from contract.async_jobs import AsyncJob
    from contract.messages import Answer
    from contract.model_version import WantedModel

bp = Blueprint("jobs", __name__, url_prefix="/v1/jobs")

# What a model of the other task is asked for: who sends it means such a model.
OF_DETECTORS, OF_CLASSIFIERS = ("max_detections", "labels"), ("top_k",)
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
    model = model_of(request)
    wanted = _wanted(services, model)
    upload = Upload.from_request(request, services.settings)
    wanted = replace(wanted, animated=upload.animated)
    job = services.async_inference.create(upload.data, current_client(), wanted, model=model, key=key)
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


def _wanted(services: Services, model: WantedModel | None) -> JobRequest:
    """What the current request asks for, by the task of its model: it has no picture yet.

    Raises:
        InvalidParameter: it asks for what models of this task do not answer.
        ServiceError: as ``task_of``, ``Wanted.from_request`` and ``WantedObjects.from_request`` do.
    """
    task = services.async_inference.task_of(model)
    detects = task is ModelTask.DETECTION
    for name in OF_CLASSIFIERS if detects else OF_DETECTORS:
        if sent(request, name):
            raise InvalidParameter(f"{name} can't be sent: the model is for {task}")
    if detects:
        objects = WantedObjects.from_request(request, services.labels)
        return JobRequest(
            "",
            services.settings.top_k,
            objects.min_score,
            top_k_sent=False,
            strict=objects.strict,
            task=ModelTask.DETECTION,
            labels=tuple(sorted(objects.labels)),
            max_detections=objects.max_detections,
        )
    labels = Wanted.from_request(request, services.settings)
    return JobRequest("", labels.top_k, labels.min_score, labels.top_k_sent, labels.strict)


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
    body, found = _head(job), job.outcome
    if isinstance(found, Classification):
        body["result"] = {**_answered_by(found), **inferred(found, job.request, animated=job.request.animated)}
    elif isinstance(found, Detection):
        body["result"] = {**_answered_by(found), **detected(found, job.request, animated=job.request.animated)}
    elif found is not None:
        body["error"] = {"kind": found.kind, "detail": found.detail}
    response = jsonify(body)
    response.headers["Cache-Control"] = "no-store"
    retry_after_s = Services.current().async_inference.retry_after_s(job)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def _answered_by(found: Answer) -> AnsweredBy:
    return {"model": found.model, "version": found.version, "digest": found.digest}


def _address(job: AsyncJob) -> str:
    return url_for("jobs.show", job_id=job.id)

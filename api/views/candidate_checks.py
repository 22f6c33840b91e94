"""``/admin/models/<name>/candidate/check``: the check that a candidate has to pass before it is promoted."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from flask import Blueprint, jsonify

from api.http.model_fields import by_whom, check_name
from api.http.picture_address import address_for_operator
from api.services import Services
from contract.model_version import ModelVersion

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from api.core import check_runner
    from api.http.schemas import CandidateCheck, CheckReport, ComparedPictures, DisagreedPicture
    from contract.checks import Check, Compared, Disagreed, Report

bp = Blueprint("candidate_checks", __name__)


@bp.post("/models/<name>/candidate/check")
def begin(name: str) -> ResponseReturnValue:
    """Begin to check the model's candidate; this address shows how far it is, and what it has found.

    Raises:
        InvalidParameter: ``name`` can't be one.
        ServiceError: as ``CheckRunner.begin`` does.
    """
    check_name(name)
    begun = Services.current().check_runner.begin(name, by_whom())
    return jsonify(shown_check(begun)), HTTPStatus.ACCEPTED


@bp.get("/models/<name>/candidate/check")
def show(name: str) -> ResponseReturnValue:
    """The progress, or the report, of the latest check of the model's candidate.

    Raises:
        InvalidParameter: ``name`` can't be one.
        ServiceError: as ``CheckRunner.latest`` does.
    """
    check_name(name)
    return jsonify(shown_check(Services.current().check_runner.latest(name)))


def shown_check(found: check_runner.CandidateCheck) -> CandidateCheck:
    """As programs read it."""
    check = found.check
    shown: CandidateCheck = {
        "model": found.candidate.name,
        "candidate": found.candidate.version,
        "current": ModelVersion.from_key(check.against).version,
        "digests": list(check.digests),
        "state": _state(check),
        "done": check.done,
        "of": check.of,
        "began": check.began,
        "by": check.by,
    }
    if check.fault:
        shown["fault"] = check.fault
    if check.report is not None:
        shown["report"] = _report(check.report)
    return shown


def _state(check: Check) -> Literal["running", "passed", "failed", "broken"]:
    if check.report is not None:
        return "passed" if check.report.passed else "failed"
    return "broken" if check.fault else "running"


def _report(report: Report) -> CheckReport:
    return {
        "verdict": report.verdict,
        "labelled": _compared(report.labelled),
        "feedback": _compared(report.feedback) if report.feedback is not None else None,
        "stored": _compared(report.stored) if report.stored is not None else None,
        "times_current": {"mean_ms": report.mean_ms_current, "p99_ms": report.p99_ms_current},
        "times_candidate": {"mean_ms": report.mean_ms_candidate, "p99_ms": report.p99_ms_candidate},
        "missing_labels": list(report.missing_labels),
        "disagreements": [_disagreed(one) for one in report.disagreements],
    }


def _compared(compared: Compared) -> ComparedPictures:
    shown: ComparedPictures = {
        "pictures": compared.pictures,
        "left_out": compared.left_out,
        "agreed": compared.agreed,
    }
    match compared.right_current, compared.right_candidate, compared.difference, compared.low, compared.high:
        case int(right_current), int(right_candidate), float(difference), float(low), float(high):
            shown["right_current"] = right_current
            shown["right_candidate"] = right_candidate
            shown["only_current"] = compared.only_current
            shown["only_candidate"] = compared.only_candidate
            shown["difference"] = difference
            shown["interval"] = [low, high]
    match compared.objects_current, compared.objects_candidate, compared.matched:
        case int(objects_current), int(objects_candidate), int(matched):
            shown["objects_current"] = objects_current
            shown["objects_candidate"] = objects_candidate
            shown["matched"] = matched
    return shown


def _disagreed(one: Disagreed) -> DisagreedPicture:
    return {
        "image": one.picture,
        "display": address_for_operator(one.picture),
        "expected": one.expected or None,
        "current": one.current or None,
        "candidate": one.candidate or None,
    }

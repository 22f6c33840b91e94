"""``/admin/models``: every model with its versions, its candidate and what is known of it, as JSON or as a page.

The page's forms change what their fields say, once it is confirmed on a second page. They need no script.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from flask import Blueprint, jsonify, redirect, render_template, request, url_for

from api.core.check_runner import CandidateCheck
from api.core.errors import InvalidParameter, ModelNotChanged
from api.http.fields import fields_of
from api.http.html import in_words, prefers_json, prefers_page
from api.http.model_fields import by_whom, check_name, path_in, per_cent, reason_in, version_in
from api.http.picture_address import address_for_operator
from api.services import Services
from api.views.candidate_checks import shown_check
from api.views.models import shown_model
from contract.errors import ServiceError
from contract.model_name import NAME
from contract.model_version import ModelVersion

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.typing import ResponseReturnValue

    from api.core.model_reports import ModelReport
    from api.http.schemas import (
        LabelScore,
        ModelChange,
        OperatedModel,
        OperatedModels,
        ShadowComparison,
        ShadowDisagreement,
    )
    from contract.model_changes import RecordedChange
    from contract.model_state import ModelState
    from contract.shadow import Comparison, Disagreement

bp = Blueprint("models_page", __name__)

DONE = {
    "reload": "The reload of {model} is done.",
    "candidate": "The candidate of {model} is set.",
    "drop": "The candidate of {model} is dropped.",
    "check": "The check of the candidate of {model} has begun.",
    "promote": "The candidate of {model} answers now.",
    "rollback": "The rollback of {model} is done.",
}
"""What the page may be asked to show, by the code in its address: no text of a stranger gets onto it."""
OF_CANDIDATES = {"drop", "check", "promote"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a form asks for; each action uses the fields that concern it."""

    action: str
    name: str
    version: str | None
    path: str | None
    share: int
    shadow: int
    force: str

    @classmethod
    def of(cls, name: str, fields: dict[str, str]) -> Self:
        """Raises InvalidParameter: a field is not what it should be."""
        check_name(name)
        action = fields.get("action", "")
        if action not in DONE:
            raise InvalidParameter(f"action must be one of {', '.join(DONE)}")
        return cls(
            action=action,
            name=name,
            version=version_in(fields),
            path=path_in(fields),
            share=per_cent(fields, "share"),
            shadow=per_cent(fields, "shadow"),
            force=reason_in(fields),
        )

    def check(self, state: ModelState) -> None:
        """Raises ModelNotChanged: there is nothing to confirm. What is decided later is not decided here."""
        if self.action in OF_CANDIDATES and state.candidate is None:
            raise ModelNotChanged(f"{self.name} has no candidate")
        if self.action == "candidate" and not (self.version or self.path or state.candidate):
            raise ModelNotChanged("say which version is to be candidate, or the path of its bundle")
        if self.action == "rollback" and state.previous is None:
            raise ModelNotChanged(f"there is no version of {self.name} before {state.current} to go back to")

    def do(self, seen: int) -> None:
        """Do it, if the model's state is that of this generation.

        Raises:
            ServiceError: as ``ModelChanges`` and ``CheckRunner`` do.
        """
        services, by = Services.current(), by_whom()
        changes = services.model_changes
        perform: dict[str, Callable[[], object]] = {
            "reload": partial(changes.reload, self.name, self.path, by, seen=seen),
            "candidate": partial(
                changes.set_candidate,
                self.name,
                version=self.version,
                path=self.path,
                share=self.share,
                shadow=self.shadow,
                by=by,
                seen=seen,
            ),
            "drop": partial(changes.drop_candidate, self.name, by, seen=seen),
            "check": partial(services.check_runner.begin, self.name, by),
            "promote": partial(changes.promote, self.name, by, force=self.force, seen=seen),
            "rollback": partial(changes.rollback, self.name, by, seen=seen),
        }
        perform[self.action]()


@bp.get("/models")
def show() -> ResponseReturnValue:
    """Every model; ``done`` in the query is one of ``DONE``, and any other is ignored.

    Raises:
        BackendDown: Redis does not answer.
    """
    if prefers_page():
        model, words = request.args.get("model", ""), DONE.get(request.args.get("done", ""))
        return _page(notice=words.format(model=model) if words and NAME.fullmatch(model) else None)
    body: OperatedModels = {"models": [_shown(report) for report in Services.current().model_reports.read()]}
    return jsonify(body)


@bp.post("/models/<name>")
def change(name: str) -> ResponseReturnValue:
    """Ask whether to do what a form's ``action`` and its fields say or, with ``confirmed``, do it.

    Raises:
        ServiceError: as ``ModelChanges`` and ``CheckRunner`` do, or InvalidParameter, for a client that prefers JSON; a
            person gets the page with the error as a sentence and the same status.
    """
    try:
        fields = fields_of(request)
        wanted = Wanted.of(name, fields)
        if not fields.get("confirmed"):
            state = Services.current().model_changes.state(name)
            wanted.check(state)
            return render_template("admin/confirm.html", wanted=wanted, state=state)
        wanted.do(_generation(fields))
    except ServiceError as error:
        if prefers_json():
            raise
        return in_words(error, _page(error=str(error)))
    return redirect(url_for("admin.models_page.show", done=wanted.action, model=name), HTTPStatus.SEE_OTHER)


def _generation(fields: dict[str, str]) -> int:
    text = fields.get("generation", "")
    if not re.fullmatch("[0-9]{1,18}", text):
        raise InvalidParameter("generation must be that of the model's state when this was asked")
    return int(text)


def _page(**shown: Any) -> str:
    reports = Services.current().model_reports.read()
    return render_template("admin/models.html", models=[(report, _shown(report)) for report in reports], **shown)


def _shown(report: ModelReport) -> OperatedModel:
    check = None
    if report.candidate is not None and report.check is not None:
        check = shown_check(CandidateCheck(report.candidate, report.check))
    return {
        **shown_model(report.status),
        "computations": {
            version.version: {"answered": tally.answered, "failed": tally.failed}
            for version, tally in report.tallies.items()
        },
        "check": check,
        "comparison": _comparison(report.comparison) if report.comparison is not None else None,
        "history": [_change(recorded) for recorded in report.history],
    }


def _comparison(comparison: Comparison) -> ShadowComparison:
    return {
        "agreed": comparison.agreed,
        "disagreed": comparison.disagreed,
        "failed": comparison.failed,
        "disagreements": [_disagreement(one) for one in comparison.disagreements],
    }


def _disagreement(one: Disagreement) -> ShadowDisagreement:
    answered: LabelScore = {"label": one.answered.label, "score": round(one.answered.score, 4)}
    candidate: LabelScore = {"label": one.label, "score": round(one.score, 4)}
    return {
        "image": one.picture,
        "display": address_for_operator(one.picture),
        "answered_by": ModelVersion.from_key(one.answered.model).version,
        "answered": answered,
        "candidate": candidate,
    }


def _change(recorded: RecordedChange) -> ModelChange:
    change = recorded.change
    return {
        "time": recorded.at.isoformat(timespec="seconds"),
        "action": change.action,
        "by": change.by,
        "words": change.words,
    }

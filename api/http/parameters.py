"""The parameters of a request beside its pictures, in the form or in the query.

``model`` says which model is to answer, ``top_k`` and ``min_score`` which labels are shown, ``strict`` whether a
damaged picture is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from api.core.errors import InvalidParameter
from api.core.inference import Asked
from contract.messages import ClassifyJob, Label
from contract.model_version import WantedModel

if TYPE_CHECKING:
    from flask import Request

    from api.http.schemas import Inferred
    from api.settings import Settings
    from contract.async_jobs import JobRequest
    from contract.messages import Classification

SCORE_DECIMALS = 4
LAST_PAGE = 1_000_000

_TRUE_OR_FALSE = {"true": True, "false": False}
_WHOLE = re.compile(r"[0-9]{1,4}")
_DECIMAL = re.compile(r"(?=.{1,32}\Z)([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,3})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the sender wants to be answered.

    Attributes:
        model: which is to answer; None for the default.
        top_k: the number of labels at most, the best ones.
        min_score: the lowest score shown; 0 to 1.
        strict: whether a damaged picture is refused; otherwise what is there of it is classified.
        top_k_sent, min_score_sent: whether the request states the value, or it is the service's default.
    """

    model: WantedModel | None
    top_k: int
    min_score: float
    strict: bool
    top_k_sent: bool
    min_score_sent: bool

    @classmethod
    def from_request(cls, request: Request, settings: Settings) -> Self:
        """Read the parameters; without them, ``TOP_K`` labels of any score are wanted, and of sound pictures only.

        Raises:
            InvalidParameter: ``model`` can't be a model's name, ``top_k`` is no whole number from 1 to ``TOP_K_MAX``,
                ``min_score`` is not from 0 to 1, or ``strict`` neither ``true`` nor ``false``.
            BrokenForm, RequestEntityTooLarge: as reading the form does.
        """
        top_k = [whole_number("top_k", raw, settings.top_k_max) for raw in sent(request, "top_k")]
        min_score = min_score_of(request)
        return cls(
            model_of(request),
            top_k[0] if top_k else settings.top_k,
            min_score if min_score is not None else 0.0,
            strict_of(request),
            top_k_sent=bool(top_k),
            min_score_sent=min_score is not None,
        )

    @property
    def asked(self) -> Asked[Classification]:
        return Asked(ClassifyJob, self.model, self.strict)

    @property
    def labels_sent(self) -> bool:
        """Whether the request says which labels are shown."""
        return self.top_k_sent or self.min_score_sent


def model_in_query(request: Request) -> WantedModel | None:
    """The model that the address names, which is known before the body is read; None if it names none.

    Raises:
        InvalidParameter: it can't be a model's name.
    """
    return next((_model(raw) for raw in request.args.getlist("model")), None)


def page_number(request: Request) -> int:
    """Which page of a list is wanted, 1 to ``LAST_PAGE``; the first unless the query's ``page`` says another.

    Raises:
        InvalidParameter: it is no such number.
    """
    text = request.args.get("page", "1")
    if not re.fullmatch("[0-9]{1,7}", text) or not 1 <= int(text) <= LAST_PAGE:
        raise InvalidParameter(f"page must be a whole number from 1 to {LAST_PAGE}")
    return int(text)


def labels_of(found: Classification, wanted: Wanted | JobRequest) -> list[Label]:
    """The wanted labels, best first; scores are rounded as shown before they are compared with ``min_score``."""
    shown = (Label(entry.label, round(entry.score, SCORE_DECIMALS)) for entry in found.labels[: wanted.top_k])
    return [entry for entry in shown if entry.score >= wanted.min_score]


def inferred(found: Classification, wanted: Wanted | JobRequest, *, animated: bool) -> Inferred:
    """``inference_time_ms`` is a worker's time for the answer, for this request or for an earlier one.

    Args:
        animated: whether the picture is an animated GIF, whose first frame alone was classified.
    """
    timings = found.timings_ms
    body: Inferred = {
        "predictions": [{"label": entry.label, "confidence": entry.score} for entry in labels_of(found, wanted)],
        "inference_time_ms": round(timings.decode + timings.infer, 1),
    }
    if not wanted.strict:
        body["damaged"] = found.damaged
    if animated:
        body["first_frame_only"] = True
    return body


def sent(request: Request, name: str) -> list[str]:
    """All values of a parameter, the query's before the form's: the first is used, and all must be valid."""
    return [*request.args.getlist(name), *request.form.getlist(name)]


def model_of(request: Request) -> WantedModel | None:
    """Raises InvalidParameter: ``model`` can't be a model's name."""
    return next(iter([_model(raw) for raw in sent(request, "model")]), None)


def min_score_of(request: Request) -> float | None:
    """Raises InvalidParameter: ``min_score`` is not from 0 to 1."""
    return next(iter([_min_score(raw) for raw in sent(request, "min_score")]), None)


def strict_of(request: Request) -> bool:
    """Raises InvalidParameter: ``strict`` is neither ``true`` nor ``false``."""
    return true_or_false(request, "strict") is not False


def true_or_false(request: Request, name: str) -> bool | None:
    """What the parameter ``name`` says; None without it.

    Raises:
        InvalidParameter: it is neither ``true`` nor ``false``.
    """
    return next(iter([_true_or_false(name, raw) for raw in sent(request, name)]), None)


def whole_number(name: str, raw: str, most: int) -> int:
    """Raises InvalidParameter: the parameter ``name`` is no whole number from 1 to ``most``."""
    if not _WHOLE.fullmatch(raw) or not 1 <= int(raw) <= most:
        raise InvalidParameter(f"{name} must be a whole number from 1 to {most}")
    return int(raw)


def _model(raw: str) -> WantedModel | None:
    """None for an empty field, as the page's form sends it for the default."""
    if not raw:
        return None
    try:
        return WantedModel.parse(raw)
    except ValueError as error:
        raise InvalidParameter("model must be a model's name, or name@version, of letters, digits and . _ -") from error


def _min_score(raw: str) -> float:
    if not _DECIMAL.fullmatch(raw) or not 0 <= float(raw) <= 1:
        raise InvalidParameter("min_score must be a number from 0 to 1")
    return float(raw)


def _true_or_false(name: str, raw: str) -> bool:
    if raw.lower() not in _TRUE_OR_FALSE:
        raise InvalidParameter(f"{name} must be true or false")
    return _TRUE_OR_FALSE[raw.lower()]

"""What a request may ask for beside its pictures, in the form or in the query: ``top_k`` and ``min_score``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from api.errors import InvalidParameter
from contract.messages import Label

if TYPE_CHECKING:
    from flask import Request

    from api.settings import Settings
    from contract.messages import Classification

SCORE_DECIMALS = 4

_WHOLE = re.compile(r"[0-9]{1,3}")
_DECIMAL = re.compile(r"(?=.{1,32}\Z)([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,3})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which labels of an answer the sender wants to see.

    Attributes:
        top_k: at most so many, the best.
        min_score: none that scores less; 0 to 1.
        named: whether the request says any of this, or all of it is the service's own choice.
    """

    top_k: int
    min_score: float
    named: bool

    @classmethod
    def from_request(cls, request: Request, settings: Settings) -> Self:
        """Read both parameters; where they are missing, ``TOP_K`` labels of any score are wanted.

        Raises:
            InvalidParameter: ``top_k`` is no whole number from 1 to ``TOP_K_MAX``, or ``min_score`` none from 0 to 1.
            BrokenForm, RequestEntityTooLarge: as reading the form does.
        """
        top_k, min_score = _parameter(request, "top_k"), _parameter(request, "min_score")
        return cls(
            settings.top_k if top_k is None else _top_k(top_k, settings.top_k_max),
            0.0 if min_score is None else _min_score(min_score),
            named=top_k is not None or min_score is not None,
        )

    def labels_of(self, found: Classification) -> list[Label]:
        """The wanted labels, best first; scores are rounded as they are shown, before they are compared."""
        shown = (Label(entry.label, round(entry.score, SCORE_DECIMALS)) for entry in found.labels[: self.top_k])
        return [entry for entry in shown if entry.score >= self.min_score]


def _parameter(request: Request, name: str) -> str | None:
    return request.args.get(name, request.form.get(name))


def _top_k(raw: str, top_k_max: int) -> int:
    if not _WHOLE.fullmatch(raw) or not 1 <= int(raw) <= top_k_max:
        raise InvalidParameter(f"top_k must be a whole number from 1 to {top_k_max}")
    return int(raw)


def _min_score(raw: str) -> float:
    if not _DECIMAL.fullmatch(raw) or not 0 <= float(raw) <= 1:
        raise InvalidParameter("min_score must be a number from 0 to 1")
    return float(raw)

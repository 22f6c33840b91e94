"""The filter of the admin pages: which reports to show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Self

from api.core.errors import InvalidParameter
from api.core.labels import in_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.feedback.reader import StoredReport


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """A checked query; an empty one matches every report.

    Attributes:
        label: part of the prediction or of the correct label; case is ignored, and a space equals an underscore.
        model: part of the model's name, or the start of its digest.
        since: first day, in UTC, as YYYY-MM-DD, which can be compared with the report's time as text.
        until: last day.
        corrected: only reports that name a correct label.
    """

    label: str = ""
    model: str = ""
    since: str = ""
    until: str = ""
    corrected: bool = False

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Read ``label``, ``model``, ``from``, ``to`` and ``corrected`` (any value but 0); unknown names are ignored.

        Raises:
            InvalidParameter: a date is not valid.
        """
        return cls(
            label=query.get("label", "").strip(),
            model=query.get("model", "").strip(),
            since=_day("from", query),
            until=_day("to", query),
            corrected=query.get("corrected", "0") not in {"", "0"},
        )

    @property
    def query(self) -> dict[str, str]:
        """The query that gives this filter."""
        asked = {
            "label": self.label,
            "model": self.model,
            "from": self.since,
            "to": self.until,
            "corrected": "1" if self.corrected else "",
        }
        return {name: value for name, value in asked.items() if value}

    def matches(self, report: StoredReport) -> bool:
        day = report.time[:10]
        label = _plain(self.label)
        return (
            (not self.corrected or bool(report.correct_label.strip()))
            and (not self.since or self.since <= day)
            and (not self.until or day <= self.until)
            and (not label or label in _plain(report.prediction) or label in _plain(report.correct_label))
            and (
                not self.model
                or self.model.lower() in report.model.lower()
                or report.digest.startswith(self.model.lower())
            )
        )


def _plain(label: str) -> str:
    return in_words(label).casefold()


def _day(name: str, query: Mapping[str, str]) -> str:
    text = query.get(name, "").strip()
    if not text:
        return ""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise InvalidParameter(f"'{name}' must be a date such as 2026-01-31") from error

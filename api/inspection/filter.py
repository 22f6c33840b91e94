"""Which inspections to show."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Self

from api.core.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.inspection.record import Inspection

_DECISIONS = {"": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class InspectionFilter:
    """A checked query; an empty one matches every inspection.

    Attributes:
        pattern: the key of the set of patterns.
        decision: None for good and bad ones.
        since, until: times as those of inspections, the first and the last that count.
    """

    pattern: str = ""
    decision: bool | None = None
    since: str = ""
    until: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Read ``pattern``, ``decision``, ``from`` and ``to``; unknown names are ignored.

        A date counts from its beginning, and up to its end.

        Raises:
            InvalidParameter: ``decision`` is neither true nor false, or a time is none.
        """
        decision = query.get("decision", "").lower()
        if decision not in _DECISIONS:
            raise InvalidParameter("decision must be true or false")
        since, until = _time("from", query, time.min), _time("to", query, time.max)
        return cls(query.get("pattern", ""), _DECISIONS[decision], since, until)

    def matches(self, inspection: Inspection) -> bool:
        return (
            (not self.pattern or inspection.pattern == self.pattern)
            and (self.decision is None or inspection.decision == self.decision)
            and (not self.since or self.since <= inspection.time)
            and (not self.until or inspection.time <= self.until)
        )


def _time(name: str, query: Mapping[str, str], of_day: time) -> str:
    """``of_day`` is what a date means that has no time."""
    text = query.get(name, "").strip()
    if not text:
        return ""
    with suppress(ValueError):
        return datetime.combine(date.fromisoformat(text), of_day, UTC).isoformat(timespec="milliseconds")
    try:
        moment = datetime.fromisoformat(text)
        in_utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidParameter(f"{name!r} must be a time such as 2026-01-31T12:00:00Z, or a date") from error
    return in_utc.isoformat(timespec="milliseconds")

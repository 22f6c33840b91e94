"""The report of ``make fairness``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from stress_test.capacity.figures import Spread, percentile, ratios

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from stress_test.capacity.open_loop import Response
    from stress_test.machine import Machine

MOST = 2.0  # times their p99 alone, beside the flood


@dataclass(frozen=True, slots=True)
class Turn:
    """Requests for the model that keeps within its share, and those of the flood beside them, if there was one."""

    steady: tuple[Response, ...]
    flood: tuple[Response, ...] = ()

    @property
    def all_answered(self) -> bool:
        return all(seen.status == HTTPStatus.OK for seen in self.steady)

    @property
    def p50_ms(self) -> float:
        return percentile(self._ms, 0.5)

    @property
    def p99_ms(self) -> float:
        return percentile(self._ms, 0.99)

    @property
    def _ms(self) -> list[float]:
        return [seen.ms for seen in self.steady if seen.status == HTTPStatus.OK]

    @property
    def refused_ms(self) -> list[float]:
        """How long the flood's refused requests took."""
        return [seen.ms for seen in self.flood if seen.status == HTTPStatus.SERVICE_UNAVAILABLE]

    @property
    def row(self) -> str:
        how = f"beside {len(self.flood)}: {statuses(self.flood)}" if self.flood else "alone"
        return f"| {how} | {statuses(self.steady)} | {self.p50_ms:.0f} | {self.p99_ms:.0f} |"


def statuses(responses: Sequence[Response]) -> str:
    """How many had each status, as in "12 of 200, 3 of 503"."""
    counted = Counter(seen.status for seen in responses)
    return ", ".join(f"{count} of {status or 'no answer'}" for status, count in sorted(counted.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """``flood_rate`` and ``rate`` are requests a second; ``turns`` are in the order in which they were taken."""

    day: date
    machine: Machine
    flooded: str
    steady: str
    flood_rate: float
    rate: float
    turns: Sequence[Turn]

    @property
    def ratio(self) -> Spread:
        """p99 beside the flood by p99 alone, round by round."""
        beside = [turn.p99_ms for turn in self.turns if turn.flood]
        alone = [turn.p99_ms for turn in self.turns if not turn.flood]
        return ratios(beside, alone)

    @property
    def passed(self) -> bool:
        return all(turn.all_answered for turn in self.turns) and self.ratio.median <= MOST


def render(figures: Figures) -> str:
    """The report, as Markdown."""
    software = ", ".join(f"{name} {version}" for name, version in figures.machine.software.items())
    lines = [
        "# One model beside a flood of requests for another",
        "",
        f"- **When, how**: {figures.day.isoformat()}, `make fairness` (`.venv/bin/python -m stress_test.fairness`),",
        "  which wrote this file.",
        f"- **Machine**: {figures.machine.processor}, {figures.machine.cores} cores, shared by the service and the",
        f"  load; load average before the start {figures.machine.load:.1f}.",
        f"- **Software**: {software}.",
        f"- **Service**: as `make run` starts it, with 2 workers that each serve {figures.flooded} and",
        f"  {figures.steady}; stored answers are off, and a request's deadline is 2 s.",
        f"- **Steady**: {figures.rate:.1f} requests a second for {figures.steady}: a fifth of its share, which is half",
        "  of what the workers do of it alone.",
        f"- **Flood**: {figures.flood_rate:.0f} requests a second for {figures.flooded}, four times what the workers",
        "  do of it alone. It begins some seconds earlier, so that its queue is as long as admission lets it be.",
        "",
        "Both come at their times, whatever becomes of those before, from 50 addresses; every picture is new. Times",
        "are from when a request was due to its answer. Turns are in the order in which they were taken.",
        "",
        "| turn | steady requests | p50, ms | p99, ms |",
        "|---|---|--:|--:|",
        *(turn.row for turn in figures.turns),
        "",
        f"The flood was refused within {_of_all(figures, 0.5):.0f} ms (median), {_of_all(figures, 0.99):.0f} ms (p99).",
        "",
        f"p99 beside the flood by p99 alone, round by round: {figures.ratio.text(2)}.",
        f"**{'Passed' if figures.passed else 'FAILED'}**: the median may be {MOST:g}, and every steady request has to",
        "be answered.",
    ]
    return "\n".join(lines) + "\n"


def _of_all(figures: Figures, share: float) -> float:
    return percentile((ms for turn in figures.turns for ms in turn.refused_ms), share)

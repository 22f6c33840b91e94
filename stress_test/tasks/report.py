"""The report of ``make tasks``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stress_test.capacity.figures import Spread, ratios

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from stress_test.capacity.wrk import Load
    from stress_test.machine import Machine

ROUTES = ("/infer", "/detect")
LEAST = 0.4  # of its goodput alone; a fair half, less what changing between two networks costs


@dataclass(frozen=True, slots=True)
class Turn:
    """What each route answered that was asked, all at once."""

    loads: Mapping[str, Load]

    @property
    def together(self) -> bool:
        return len(self.loads) > 1

    @property
    def row(self) -> str:
        cells = (_cell(self.loads.get(route)) for route in ROUTES)
        return f"| {'at once' if self.together else 'alone'} | {' | '.join(cells)} |"


def _cell(load: Load | None) -> str:
    if load is None:
        return " | | "
    return f"{load.per_s:.1f} | {load.p50_ms:.0f} | {load.p99_ms:.0f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """``turns`` are in their order; in each round every route is asked alone, and all at once."""

    day: date
    machine: Machine
    concurrency: int
    turns: Sequence[Turn]

    def share(self, route: str) -> Spread:
        """Goodput of ``route`` while the other is asked too, by its goodput alone, round by round."""
        return ratios(self._per_s(route, together=True), self._per_s(route, together=False))

    @property
    def sum_of_shares(self) -> Spread:
        """1 where both together get done what one of them would have alone."""
        rounds = [
            [
                ours / theirs
                for ours, theirs in zip(
                    self._per_s(route, together=True), self._per_s(route, together=False), strict=True
                )
            ]
            for route in ROUTES
        ]
        return Spread.of(sum(shares) for shares in zip(*rounds, strict=True))

    @property
    def failed(self) -> int:
        return sum(load.failed for turn in self.turns for load in turn.loads.values())

    @property
    def passed(self) -> bool:
        return not self.failed and all(self.share(route).median >= LEAST for route in ROUTES)

    def _per_s(self, route: str, *, together: bool) -> list[float]:
        return [turn.loads[route].per_s for turn in self.turns if turn.together is together and route in turn.loads]


def render(figures: Figures) -> str:
    """The report, as Markdown."""
    software = ", ".join(f"{name} {version}" for name, version in figures.machine.software.items())
    lines = [
        "# Classification and detection at once",
        "",
        f"- **When, how**: {figures.day.isoformat()}, `make tasks` (`.venv/bin/python -m stress_test.tasks`), which",
        "  wrote this file.",
        f"- **Machine**: {figures.machine.processor}, {figures.machine.cores} cores, shared by the service and the",
        f"  load; load average before the start {figures.machine.load:.1f}.",
        f"- **Software**: {software}.",
        "- **Service**: as `make run` starts it, with 2 workers that each serve both models; stored answers are off.",
        f"- **Load**: {figures.concurrency} connections for each route, each with its next request as soon as it has",
        "  its answer; every picture is new. Turns are in the order in which they were taken.",
        "",
        "| turn | `/infer`, a second | p50, ms | p99, ms | `/detect`, a second | p50, ms | p99, ms |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *(turn.row for turn in figures.turns),
        "",
        "Goodput while both are asked, by goodput alone, round by round:",
        "",
        *(f"- `{route}`: {figures.share(route).text(2)}" for route in ROUTES),
        f"- both together: {figures.sum_of_shares.text(2)}",
        "",
        f"Requests that were not answered: {figures.failed}.",
        f"**{'Passed' if figures.passed else 'FAILED'}**: there may be none, and each route has to get at least",
        f"{LEAST:g}.",
    ]
    return "\n".join(lines) + "\n"

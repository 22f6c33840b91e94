"""The report of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stress_test.soak.samples import LIMITS
from stress_test.soak.trend import Samples, Trend
from stress_test.traffic.fates import Fate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from stress_test.machine import Machine

NEVER = (Fate.LOST, Fate.WRONG)  # fails the run


@dataclass(frozen=True, slots=True)
class Figures:
    """``rate`` is in requests per second, ``series`` as sampled, the warm-up of ``warm_up_s`` among it."""

    day: date
    machine: Machine
    minutes: float
    warm_up_s: float
    rate: float
    kills: int
    settings: Mapping[str, str]
    fates: Mapping[Fate, int]
    series: Mapping[str, Samples]

    def trends(self) -> dict[str, Trend]:
        """Of the series that are judged and have samples after the warm-up."""
        later = {name: [seen for seen in self.series.get(name, []) if seen[0] >= self.warm_up_s] for name in LIMITS}
        return {name: Trend.of(samples, LIMITS[name]) for name, samples in later.items() if len(samples) > 1}

    @property
    def passed(self) -> bool:
        trends = self.trends()
        flat = all(_flat(trends, name) for name in LIMITS)
        return flat and not any(self.fates[fate] for fate in NEVER)


def render(figures: Figures, chart: str) -> str:
    """Args: chart: its path from the report."""
    settings = ", ".join(f"`{name}={value}`" for name, value in figures.settings.items())
    fates = ", ".join(f"{number} {fate}" for fate, number in figures.fates.items() if number)
    lines = [
        "# Soak: does anything grow?",
        "",
        f"- **When, how**: {figures.day}, `make soak MINUTES={figures.minutes:g}`, which wrote this file.",
        f"- **Machine**: {figures.machine.processor}, {figures.machine.cores} cores.",
        f"- **Service**: as `make run` starts it, with {settings}, so that it is soon as full as it gets.",
        f"- **Load**: {figures.rate:.1f} requests per second, 70% of what it does on this machine, to",
        "  `/predict`, `/infer` and `/v1/jobs` in turns; every fourth picture was sent before. Meanwhile a worker",
        f"  or an API process was killed {figures.kills} times.",
        f"- **Requests**: {fates}.",
        f"- **Result**: {_result(figures)}.",
        "",
        f"![Every series over time]({chart})",
        "",
        "| series | median | growth by hour | at most | |",
        "|---|--:|--:|--:|---|",
        *(
            f"| {name} | {trend.level:.1f} | {trend.growth_per_hour:+.1f} | {trend.limit_per_hour:.1f} |"
            f" {'flat' if trend.flat else 'GROWS'} |"
            for name, trend in figures.trends().items()
        ),
        "",
        f"Growth is the median slope between all pairs of samples (Theil and Sen) after {figures.warm_up_s:.0f} s of",
        "warm-up. Memory is proportional (PSS): what processes share counts once.",
    ]
    return "\n".join(lines) + "\n"


def _result(figures: Figures) -> str:
    if figures.passed:
        return "passed: everything is flat, nothing lost or wrong"
    trends = figures.trends()
    faults = [f"{figures.fates[fate]} {fate}" for fate in NEVER if figures.fates[fate]]
    faults += [f"{name}: {'grows' if name in trends else 'not measured'}" for name in LIMITS if not _flat(trends, name)]
    return f"FAILED: {', '.join(faults)}"


def _flat(trends: Mapping[str, Trend], name: str) -> bool:
    return name in trends and trends[name].flat

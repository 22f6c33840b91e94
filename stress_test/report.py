"""The stress test's report: Markdown for people, made only from what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from stress_test.machine import Machine
    from stress_test.measurement import Measurement

TEMPLATE = Path(__file__).parent / "report_template.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All of one run; ``series``: each crowd's figures with 1 and with 2 workers, the same crowds in the same order.

    ``great_crowd``: what more users than there is room for saw of 2 workers, with known pictures among theirs.
    """

    day: date
    machine: Machine
    model: str
    warm_up_s: float
    seconds: float
    series: Mapping[int, tuple[Measurement, ...]]
    great_crowd: Measurement


def render(figures: Figures, chart: str) -> str:
    """Fill the template; ``chart`` is the picture's path relative to the report."""
    machine = figures.machine
    return Template(TEMPLATE.read_text()).substitute(
        day=figures.day.isoformat(),
        processor=machine.processor,
        cores=machine.cores,
        load=f"{machine.load:.1f}",
        software=", ".join(f"{name} {version}" for name, version in machine.software.items()),
        model=figures.model,
        seconds=f"{figures.seconds:g}",
        warm_up=f"{figures.warm_up_s:g}",
        chart=chart,
        rows="\n".join(
            _row(workers, seen)
            for crowd in zip(figures.series[1], figures.series[2], strict=True)
            for workers, seen in enumerate(crowd, start=1)
        ),
        ratios="\n".join(_ratio(one, two) for one, two in zip(figures.series[1], figures.series[2], strict=True)),
        great_crowd_users=f"{figures.great_crowd.users:,}",
        great_crowd_seconds=f"{figures.great_crowd.seconds:.0f}",
        great_crowd=_great_crowd_row(figures.great_crowd),
        failures="\n".join(_reasons(figures)) or "None.",
    )


def _row(workers: int, seen: Measurement) -> str:
    return (
        f"| {seen.users} | {workers} | {seen.requests_per_s:.1f} | {seen.predictions_per_s:.1f}"
        f" | {seen.p50_ms:.0f} | {seen.p95_ms:.0f} | {seen.p99_ms:.0f}"
        f" | {seen.failed} | {seen.refused} | {seen.generator_cpu_share:.0%} |"
    )


def _ratio(one: Measurement, two: Measurement) -> str:
    first, second = one.predictions_per_s, two.predictions_per_s
    ratio = f"{second / first:.2f}" if first else "-"
    return f"| {one.users} | {first:.1f} | {second:.1f} | {ratio} |"


def _great_crowd_row(seen: Measurement) -> str:
    return (
        f"| {seen.pages / seen.seconds:.1f} | {seen.predictions_per_s:.1f} | {seen.known / seen.seconds:.1f}"
        f" | {seen.refused / seen.seconds:.1f} | {seen.p50_ms:.0f} / {seen.p99_ms:.0f}"
        f" | {seen.known_p50_ms:.0f} / {seen.known_p99_ms:.0f} | {seen.failed} | {seen.generator_cpu_share:.0%} |"
    )


def _reasons(figures: Figures) -> list[str]:
    crowds = [(workers, seen) for workers, measurements in figures.series.items() for seen in measurements]
    return [
        f"- {seen.users} users, {workers} worker(s): {count} times {reason}"
        for workers, seen in [*crowds, (2, figures.great_crowd)]
        for reason, count in seen.failures.items()
    ]

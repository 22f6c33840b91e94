"""The report of ``make costly``."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from stress_test.costly.flood import PER_SECOND, SIDE
from stress_test.traffic.fates import Fate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from stress_test.costly.flood import Poured
    from stress_test.machine import Machine
    from stress_test.traffic.fates import Sent

MOST = 2.0  # times their p99 alone, beside the flood


@dataclass(frozen=True, slots=True)
class Turn:
    """Ordinary requests, alone or beside the flood."""

    number: int
    beside: bool
    ordinary: tuple[Sent, ...]
    flooded: tuple[Poured, ...]

    @property
    def seconds(self) -> list[float]:
        return [sent.ended_s - sent.sent_s for sent in self.ordinary if sent.fate is Fate.ANSWERED]

    @property
    def line(self) -> str:
        how = "beside" if self.beside else "alone"
        return f"round {self.number}, {how}: {len(self.ordinary)} requests, p99 {quantile(self.seconds, 0.99):.2f} s"


@dataclass(frozen=True, slots=True)
class Figures:
    """``rate`` is that of ordinary requests, a second."""

    day: date
    machine: Machine
    rate: float
    turns: Sequence[Turn]

    @property
    def passed(self) -> bool:
        answered = all(sent.fate is Fate.ANSWERED for turn in self.turns for sent in turn.ordinary)
        return answered and median(self.ratios) <= MOST

    @property
    def ratios(self) -> list[float]:
        """p99 beside the flood by p99 alone, round by round."""
        return [
            quantile(beside.seconds, 0.99) / quantile(alone.seconds, 0.99)
            for alone, beside in zip(self.of(beside=False), self.of(beside=True), strict=True)
        ]

    def of(self, *, beside: bool) -> list[Turn]:
        return [turn for turn in self.turns if turn.beside is beside]


def quantile(values: Iterable[float], share: float) -> float:
    """The value that ``share`` (0 to 1) of them do not pass, itself one of them; not a number of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def render(figures: Figures) -> str:
    """The report, as Markdown."""
    alone, beside = figures.of(beside=False), figures.of(beside=True)
    ratios = figures.ratios
    flooded = [poured for turn in beside for poured in turn.flooded]
    statuses = ", ".join(
        f"{count} of {status or 'no answer'}" for status, count in Counter(poured.status for poured in flooded).items()
    )
    software = ", ".join(f"{name} {version}" for name, version in figures.machine.software.items())
    lines = [
        "# Costly pictures beside ordinary ones",
        "",
        f"- **When, how**: {figures.day.isoformat()}, `make costly` (`.venv/bin/python -m stress_test.costly`), which",
        "  wrote this file.",
        f"- **Machine**: {figures.machine.processor}, {figures.machine.cores} cores, shared by the service and the",
        f"  load; load average before the start {figures.machine.load:.1f}.",
        f"- **Software**: {software}.",
        "- **Service**: as `make run` starts it, with 2 workers.",
        f"- **Ordinary**: {figures.rate:.1f} photos a second to `/infer`, a quarter of what it does undisturbed on",
        "  this machine, from 50 addresses.",
        f"- **Flood**: {PER_SECOND:g} pictures a second from one address, {SIDE} x {SIDE} pixels: a JPEG of 98 empty",
        "  scans and an interlaced PNG in turns, each of about 100 kB or less and new to the service.",
        "",
        "| ordinary requests | number | answered | median, s | p99, s | worst, s |",
        "|---|--:|--:|--:|--:|--:|",
        _row("alone", alone),
        _row("beside the flood", beside),
        "",
        f"p99 beside the flood by p99 alone, round by round: median {median(ratios):.1f},",
        f"from {min(ratios):.1f} to {max(ratios):.1f}.",
        f"**{'Passed' if figures.passed else 'FAILED'}**: the median may be {MOST:g}, and every ordinary request",
        "has to be answered.",
        "",
        f"The flood itself was answered with {statuses or 'nothing'}.",
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, turns: Sequence[Turn]) -> str:
    seconds = [value for turn in turns for value in turn.seconds]
    number = sum(len(turn.ordinary) for turn in turns)
    figures = (quantile(seconds, share) for share in (0.5, 0.99, 1.0))
    return f"| {name} | {number} | {len(seconds)} | " + " | ".join(f"{value:.2f}" for value in figures) + " |"

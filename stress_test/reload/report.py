"""The report of ``make reloads``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from statistics import median
from typing import TYPE_CHECKING

from stress_test.reload.witnesses import PINNED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from stress_test.capacity.wrk import Load
    from stress_test.machine import Machine
    from stress_test.reload.witnesses import Seen


@dataclass(frozen=True, slots=True)
class Changed:
    """A change and how long its request took, in seconds."""

    what: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that was seen.

    Attributes:
        steady, during: the load without changes, and while they went on.
        alone_mb, both_mb, after_mb: the largest worker's memory with one version, at most, and once one is unloaded.
    """

    day: date
    machine: Machine
    steady: Load
    during: Load
    changes: Sequence[Changed]
    seen: Sequence[Seen]
    alone_mb: float
    both_mb: float
    after_mb: float

    @property
    def made_by(self) -> Counter[str]:
        """Answers to requests for the model's name, by what has made them."""
        return Counter(one.model for one in self.seen if not one.pinned and one.status == HTTPStatus.OK)

    @property
    def failed(self) -> int:
        """Requests for the name without labels; one for a version may be refused while no worker serves it."""
        return sum(
            one.status != HTTPStatus.OK and not (one.pinned and one.status == HTTPStatus.SERVICE_UNAVAILABLE)
            for one in self.seen
        )

    @property
    def by_another(self) -> int:
        """Requests for one version that another has answered."""
        return sum(one.pinned and one.status == HTTPStatus.OK and one.version != PINNED for one in self.seen)

    @property
    def passed(self) -> bool:
        return not (self.during.failed or self.failed or self.by_another) and len(self.made_by) > 1


def render(figures: Figures) -> str:
    """The report, as Markdown."""
    software = ", ".join(f"{name} {version}" for name, version in figures.machine.software.items())
    steady, during = figures.steady, figures.during
    pinned = [one for one in figures.seen if one.pinned]
    refused = sum(one.status == HTTPStatus.SERVICE_UNAVAILABLE for one in pinned)
    made_by = ", ".join(f"{count} by `{model}`" for model, count in sorted(figures.made_by.items()))
    took = {
        what: [one.seconds for one in figures.changes if one.what == what]
        for what in dict.fromkeys(one.what for one in figures.changes)
    }
    lines = [
        "# Versions that change under load",
        "",
        f"- **When, how**: {figures.day.isoformat()}, `make reloads` (`.venv/bin/python -m stress_test.reload`),",
        "  which wrote this file.",
        f"- **Machine**: {figures.machine.processor}, {figures.machine.cores} cores, shared by the service and the",
        f"  load; load average before the start {figures.machine.load:.1f}.",
        f"- **Software**: {software}.",
        "- **Service**: as `make run` starts it, with 2 workers; stored answers are off.",
        f"- **Load**: `wrk` with {during.concurrency} connections and new photos, as in the bench of throughput; and",
        "  a few senders who look at who has answered.",
        "- **Versions**: 1 and 2 are the same network under two manifests, and so with two digests.",
        "",
        "| load | seconds | answered | failed | a second | p50, ms | p99, ms |",
        "|---|--:|--:|--:|--:|--:|--:|",
        _row("nothing changes", steady),
        _row(f"{len(figures.changes)} changes", during),
        "",
        "| change | times | median, s | longest, s |",
        "|---|--:|--:|--:|",
        *(f"| {what} | {len(times)} | {median(times):.2f} | {max(times):.2f} |" for what, times in took.items()),
        "",
        f"Of the senders who look, those who asked for the model's name were answered {made_by}.",
        f"{len(pinned)} requests named version {PINNED}: {figures.by_another} were answered by another version, and",
        f"{refused} refused while no worker served it. {figures.failed} failed.",
        "",
        f"A worker's memory: {figures.alone_mb:.0f} MB with one version, {figures.both_mb:.0f} MB at most while it",
        f"changed, {figures.after_mb:.0f} MB once the other version was unloaded.",
        "",
        f"**{'Passed' if figures.passed else 'FAILED'}**: no request may fail, none that names a version be answered",
        "by another, and both versions have to have answered.",
    ]
    return "\n".join(lines) + "\n"


def _row(what: str, load: Load) -> str:
    return (
        f"| {what} | {load.seconds:.0f} | {load.answered} | {load.failed} | {load.per_s:.1f} | {load.p50_ms:.0f} "
        f"| {load.p99_ms:.0f} |"
    )

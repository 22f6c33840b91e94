"""The report of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from stress_test.chaos.rounds import BURST, STEADY_S
from stress_test.site import WORKERS
from stress_test.traffic.fates import Fate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from stress_test.chaos.rounds import Round
    from stress_test.machine import Machine

NEVER = (Fate.LOST, Fate.WRONG)  # fails the run
LONGEST_REASON = 160


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run has shown.

    Attributes:
        rate: of requests, a second.
        left_out: names of faults that this machine does not allow.
        broken_off: why the run ended early, if it did.
    """

    day: date
    machine: Machine
    rate: float
    rounds: Sequence[Round]
    left_out: Sequence[str]
    broken_off: str = ""

    @property
    def passed(self) -> bool:
        """Whether all faults were tried, the service recovered from each, and nothing was lost or wrong."""
        recovered = all(seen.rate_back_s is not None for seen in self.rounds)
        never = any(seen.fates[fate] for seen in self.rounds for fate in NEVER)
        return bool(self.rounds) and not self.broken_off and recovered and not never


def render(figures: Figures) -> str:
    machine = figures.machine
    software = ", ".join(f"{name} {number}" for name, number in machine.software.items())
    lines = [
        "# Chaos: faults under load",
        "",
        f"- **When, how**: {figures.day}, `make chaos` (`.venv/bin/python -m stress_test.chaos`), which wrote",
        "  this file.",
        f"- **Machine**: {machine.processor}, {machine.cores} cores; load average before the start {machine.load:.1f}.",
        f"- **Software**: {software}.",
        f"- **Service**: as `make run` starts it, with {WORKERS} workers.",
        f"- **Load**: {figures.rate:.1f} requests per second, half of what it does undisturbed on this machine, to",
        "  `/predict`, `/infer` and `/v1/jobs` in turns, from 50 addresses, each with a picture of its own; and",
        f"  {BURST} more just before each fault.",
        f"- **Result**: {'passed' if figures.passed else 'FAILED'}: nothing may be lost, nothing wrong, and after each",
        "  fault all is well again.",
        *([f"- **Broken off**: {figures.broken_off}."] if figures.broken_off else []),
        "",
        "| fault | times | requests | " + " | ".join(Fate) + " | first right answer, s | rate back, s |",
        "|---|--:|--:|" + "--:|" * (len(Fate) + 2),
        *(_row(name, [seen for seen in figures.rounds if seen.fault == name]) for name in _names(figures.rounds)),
        "",
        "*Refused*: 503 or 429 that says when to come again. *Failed*: any other error, and an async job that says it",
        "has failed. *Broken*: the connection was closed or refused, so the client knows. *Lost*: no answer within the",
        "deadline on a connection that is alive, or an accepted job that never ended. *Wrong*: other labels than the",
        "undisturbed service gave. Times are median / worst, from the moment before the fault, with the time that it",
        "is held: to the first right answer to a request sent after it; until the last request was sent that was not",
        f"answered right, after which all were for {STEADY_S:.0f} s.",
        *_left_out(figures.left_out),
        "",
        "## What was not answered, and why",
        "",
        "| fault | fate | requests | reason |",
        "|---|---|--:|---|",
        *_reasons(figures.rounds),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, rounds: Sequence[Round]) -> str:
    fates = " | ".join(str(sum(seen.fates[fate] for seen in rounds)) for fate in Fate)
    requests = sum(len(seen.requests) for seen in rounds)
    first = _times(seen.first_right_s for seen in rounds)
    back = _times(seen.rate_back_s for seen in rounds)
    return f"| {name} | {len(rounds)} | {requests} | {fates} | {first} | {back} |"


def _times(seconds: Iterable[float | None]) -> str:
    known = [float("inf") if value is None else value for value in seconds]
    return f"{_time(median(known))} / {_time(max(known))}"


def _time(seconds: float) -> str:
    return "never" if seconds == float("inf") else f"{seconds:.1f}"


def _reasons(rounds: Sequence[Round]) -> Iterable[str]:
    reasons = Counter(
        (seen.fault, sent.fate, f"{sent.route}: {sent.why[:LONGEST_REASON]}")
        for seen in rounds
        for sent in seen.requests
        if sent.fate is not Fate.ANSWERED
    )
    for (fault, fate, reason), number in reasons.items():
        yield f"| {fault} | {fate} | {number} | {reason.replace('|', '/')} |"


def _left_out(names: Sequence[str]) -> list[str]:
    return ["", f"Left out, because this needs root and the right to mount: {'; '.join(names)}."] if names else []


def _names(rounds: Sequence[Round]) -> list[str]:
    return list(dict.fromkeys(seen.fault for seen in rounds))

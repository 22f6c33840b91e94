"""The report of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stress_test.fuzz.exchange import CLOSED, GARBLED, NO_ANSWER
from stress_test.fuzz.watch import MOST_MB

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from stress_test.machine import Machine

SLOWEST = 10
EXAMPLES = 3
NAMES = {NO_ANSWER: "no answer", CLOSED: "closed", GARBLED: "no HTTP"}


@dataclass(frozen=True, slots=True)
class Seen:
    """An input's number, its kind, and what became of it; ``fault`` is None if all is well."""

    number: int
    kind: str
    target: str
    status: int
    ms: float
    fault: str | None


@dataclass(frozen=True, slots=True)
class Figures:
    """``process_faults`` are those of ``Watch``, ``most_mb`` its peaks."""

    day: date
    machine: Machine
    seed: int
    inputs: Sequence[Seen]
    most_mb: Mapping[str, float]
    process_faults: Sequence[str]

    @property
    def passed(self) -> bool:
        return not self.process_faults and all(seen.fault is None for seen in self.inputs)


def render(figures: Figures) -> str:
    memory = ", ".join(f"{role} {mb:.0f} MB (at most {MOST_MB[role]})" for role, mb in figures.most_mb.items())
    slowest = sorted(figures.inputs, key=lambda seen: -seen.ms)[:SLOWEST]
    lines = [
        "# Fuzzing: odd pictures and requests",
        "",
        f"- **When, how**: {figures.day}, `make fuzz` with `SEED={figures.seed}`",
        f"  (`.venv/bin/python -m stress_test.fuzz`), which wrote this file; {len(figures.inputs)} inputs.",
        f"- **Machine**: {figures.machine.processor}, {figures.machine.cores} cores.",
        f"- **Result**: {'passed' if figures.passed else 'FAILED'}: no 500 or 502, no error in HTML, every answer in",
        "  time and as OpenAPI describes it, no process died, and none took more memory than stated.",
        f"- **Largest resident memory of a process**: {memory}.",
        "",
        *(f"- {fault}" for fault in figures.process_faults),
        "",
        "## Answers by kind of input",
        "",
        *_statuses(figures.inputs),
        "",
        "*Closed*: the connection was closed without an answer, to what may be no request.",
        "",
        "## The slowest",
        "",
        "| input | kind | request | status | ms |",
        "|--:|---|---|--:|--:|",
        *(
            f"| {seen.number} | {seen.kind} | {seen.target} | {_name(seen.status)} | {seen.ms:.0f} |"
            for seen in slowest
        ),
        "",
        "## Faults",
        "",
        *(_faults(figures.inputs) or ["None."]),
    ]
    return "\n".join(lines) + "\n"


def _statuses(inputs: Sequence[Seen]) -> Iterable[str]:
    statuses = sorted({seen.status for seen in inputs})
    yield "| kind | inputs | " + " | ".join(_name(status) for status in statuses) + " |"
    yield "|---|--:|" + "--:|" * len(statuses)
    table = Counter((seen.kind.partition(":")[0], seen.status) for seen in inputs)
    for kind in dict.fromkeys(seen.kind.partition(":")[0] for seen in inputs):
        numbers = [table[kind, status] for status in statuses]
        yield f"| {kind} | {sum(numbers)} | " + " | ".join(str(number or "") for number in numbers) + " |"


def _faults(inputs: Sequence[Seen]) -> list[str]:
    faults: dict[tuple[str, str], list[Seen]] = {}
    for seen in inputs:
        if seen.fault is not None:
            faults.setdefault((seen.kind, seen.fault), []).append(seen)
    return [
        f"- {kind}: {fault} ({len(found)} times; inputs {', '.join(str(seen.number) for seen in found[:EXAMPLES])})"
        for (kind, fault), found in faults.items()
    ]


def _name(status: int) -> str:
    return NAMES.get(status, str(status))

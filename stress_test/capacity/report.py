"""The report: Markdown for people and JSON for programs, made only from what was measured."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from stress_test.capacity.stock_model import HOW

if TYPE_CHECKING:
    from datetime import date

    from stress_test.capacity.bench import Section
    from stress_test.capacity.figures import Target
    from stress_test.machine import Machine

VERDICTS = {True: "yes", False: "**no**", None: "not measured"}


@dataclass(frozen=True, slots=True)
class Run:
    """When, where and how; ``sections`` by name, in the report's order."""

    day: date
    command: str
    machine: Machine
    software: dict[str, str]
    model: str
    photos: int
    rounds: int
    seconds: float
    took_s: float
    sections: dict[str, Section]

    @property
    def targets(self) -> list[Target]:
        return [target for section in self.sections.values() for target in section.targets]


def markdown(run: Run, charts: dict[str, str]) -> str:
    """The whole report; ``charts`` are the pictures' paths relative to it, by their titles."""
    machine = run.machine
    software = ", ".join(f"{name} {version}" for name, version in run.software.items())
    pictures = "\n\n".join(f"![{title}]({path})" for title, path in charts.items())
    head = f"""# Capacity

- **When, how**: {run.day.isoformat()}, `{run.command}`, which wrote this file in {run.took_s / 60:.0f} minutes.
- **Machine**: {machine.processor}, {machine.cores} cores; load average before the start {machine.load:.1f}
  (near 0 on an idle machine). Everything runs on it: the service, the loops, the peer and the load generators.
- **Software**: {software}.
- **Model**: `{run.model}`, on {run.photos} labelled photos.
- **Rounds**: {run.rounds}, turns of {run.seconds:g} s or half of it, in the opposite order every other round. A figure
  is the median of the rounds, with the lowest and the highest in brackets; a ratio is the median of the rounds' ratios.

## What this service holds itself to

| figure | target | reached | met |
|:-------|-------:|--------:|:----|
{chr(10).join(_row(target) for target in run.targets)}

{pictures}"""
    how = f"""## How to read it

- {HOW}
- The conventional loop (`stress_test/capacity/conventional.py`): `cv2.imdecode`, `cv2.resize` with `INTER_AREA` to a
  shorter side of 256, the middle 224 x 224, less the mean, channels first, a session with default options and one
  thread.
- Our own loop is the worker's classifier without a server; both loops have all photos in memory.
- The peer serves the conventional classifier with batches of up to 8. It stands still (SIGSTOP) between its turns.
- Photos are made distinct by bytes after the JPEG's end, which decoders skip. Every one goes over HTTP on loopback.
- Percentiles under a closed loop (a fixed number at once, the next request after the answer) are wrk's.
- What the generators take, the service does not get; on a machine of its own it would do a little more."""
    return "\n\n".join([head, *(section.markdown() for section in run.sections.values()), how]) + "\n"


def as_json(run: Run) -> str:
    """Everything that was measured, with every round."""
    fields: dict[str, Any] = {
        "day": run.day.isoformat(),
        "command": run.command,
        "machine": asdict(run.machine),
        "software": run.software,
        "model": run.model,
        "photos": run.photos,
        "rounds": run.rounds,
        "seconds": run.seconds,
        "took_s": round(run.took_s, 1),
        "targets": [{**asdict(target), "met": target.met} for target in run.targets],
        "sections": {name: asdict(section) for name, section in run.sections.items()},
    }
    return json.dumps(fields, indent=1) + "\n"


def _row(target: Target) -> str:
    sign = "≥" if target.at_least else "≤"
    reached = "-" if target.reached is None else target.reached.text(target.digits)
    return f"| {target.what} | {sign} {target.limit:g} | {reached} | {VERDICTS[target.met]} |"

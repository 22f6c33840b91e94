"""What a picture costs in two ways of running the service, as a table for a decision or a changelog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress_test.capacity.figures import Spread, ratios
from stress_test.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress_test.capacity.processes import Role
    from stress_test.capacity.scenarios.control_plane import Cost

ROWS: dict[str, tuple[Role, ...]] = {
    "API": ("api",),
    "worker": ("worker",),
    "API and worker": ("api", "worker"),
    "queue": ("queue",),
}


def cost_table(one: str, other: str, ones: Sequence[Cost], others: Sequence[Cost]) -> str:
    """Markdown, with the names of both ways at the head; the costs are of turns that belong together, pair by pair."""
    rows = [
        _row(name, *([cost.ms_per_picture(*roles) for cost in costs] for costs in (ones, others)))
        for name, roles in ROWS.items()
    ]
    head = f"| CPU ms per picture | {one} | {other} | {one} ÷ {other} |\n|---|--:|--:|--:|"
    machine, failed = Machine.this(), sum(cost.load.failed for cost in (*ones, *others))
    where = f"{machine.processor}, {machine.cores} cores, load {machine.load:.1f}, Python {machine.software['Python']}"
    return "\n".join([head, *rows, "", f"{where}; {len(ones)} rounds in turns; {failed} requests failed."])


def _row(name: str, ones: Sequence[float], others: Sequence[float]) -> str:
    return f"| {name} | {Spread.of(ones).text(2)} | {Spread.of(others).text(2)} | {ratios(ones, others).text(3)} |"

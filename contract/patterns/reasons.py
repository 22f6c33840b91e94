"""A verdict in words, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contract.patterns.check import Finding, Verdict
    from contract.patterns.placement import Offset

_BEYOND = {"left": ("left", "right"), "top": ("up", "down"), "right": ("left", "right"), "bottom": ("up", "down")}


def reasons(verdict: Verdict) -> list[str]:
    """Why the part is not good: a phrase for each expected object that was not found; empty if it is."""
    return [
        f"object {number} ({finding.expected.class_name}) {_told(finding)}"
        for number, finding in enumerate(verdict.findings, 1)
        if finding.state != "found"
    ]


def _told(finding: Finding) -> str:
    return "is missing" if finding.offset is None else f"is out of place: {_edges(finding.offset)}"


def _edges(offset: Offset) -> str:
    """As: left edge 0.050 too far right, top edge 0.012 too far up."""
    return ", ".join(
        f"{edge} edge {abs(value):.3f} too far {_BEYOND[edge][value > 0]}"
        for edge, value in offset._asdict().items()
        if value
    )

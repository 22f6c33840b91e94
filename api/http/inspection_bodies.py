"""Patterns and verdicts as answers have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import url_for

from api.http.detection_parameters import detected
from api.services import Services
from contract.patterns.reasons import reasons

if TYPE_CHECKING:
    from api.http.inspection_parameters import WantedInspection
    from api.http.schemas import Edges, ExpectedObject, Finding, Inspected, Inspection, PatternSet, PictureSource
    from api.inspection.record import Inspection as Done
    from contract.messages import Detection
    from contract.patterns.check import Finding as Found
    from contract.patterns.check import Verdict
    from contract.patterns.pattern import ExpectedObject as Expected
    from contract.patterns.pattern import PatternSet as Patterns
    from contract.patterns.pattern import RelativeBox
    from contract.patterns.placement import Offset

CSV_COLUMNS = (
    *("time", "id", "pattern", "best_pattern", "decision", "reasons"),
    *("objects", "model", "digest", "picture"),
)
DECIMALS = 6  # of fractions of a picture


def shown_patterns(patterns: Patterns) -> PatternSet:
    return {
        "key": patterns.key,
        "patterns": [
            {"name": pattern.name, "objects": [_expected(expected) for expected in pattern.objects]}
            for pattern in patterns.patterns
        ],
    }


def inspected(
    wanted: WantedInspection, detection: Detection, verdict: Verdict, *, source: PictureSource, animated: bool
) -> Inspected:
    """``surplus``, and the ``detection`` of what was expected, are places in the list ``detections``.

    Args:
        detection: what the verdict is about.
        animated: whether the picture is an animated GIF, whose first frame alone was looked at.
    """
    return {
        "decision": verdict.decision,
        "pattern": wanted.patterns.key,
        "best_pattern": verdict.pattern,
        "reasons": reasons(verdict),
        "expected": [_finding(finding) for finding in verdict.findings],
        "surplus": list(verdict.surplus),
        **detected(detection, wanted.objects, animated=animated),
        "source": source,
    }


def shown_inspection(done: Done, *, kept: bool = True) -> Inspection:
    """An inspection with links to its picture, plain and with what was found, for those who may see it.

    Args:
        kept: whether it can be found again; if not, it has no ID.
    """
    has_picture = kept and Services.current().inspections.has_picture(done)
    return {
        "id": done.id if kept else None,
        "time": done.time,
        **cast("Inspected", done.found),
        "picture": done.picture,
        "model": done.model,
        "digest": done.digest,
        "links": {
            "picture": url_for("inspections.picture", name=done.picture) if has_picture else None,
            "drawn": url_for("inspections.drawn", inspection_id=done.id) if has_picture else None,
        },
    }


def csv_cells(done: Done) -> tuple[str, ...]:
    """The cells of ``CSV_COLUMNS``."""
    found = cast("Inspected", done.found)
    return (
        *(done.time, done.id, done.pattern, found["best_pattern"], "good" if done.decision else "bad"),
        *("; ".join(found["reasons"]), str(len(found["detections"])), done.model, done.digest, done.picture),
    )


def _expected(expected: Expected) -> ExpectedObject:
    return {
        "label": expected.label,
        "class_id": expected.class_id,
        "inner": _edges(expected.inner),
        "outer": _edges(expected.outer),
    }


def _finding(finding: Found) -> Finding:
    return {
        "label": finding.expected.label,
        "class_id": finding.expected.class_id,
        "state": finding.state,
        "detection": finding.index,
        "offset": _edges(finding.offset) if finding.offset is not None else None,
    }


def _edges(edges: RelativeBox | Offset) -> Edges:
    left, top, right, bottom = (round(edge, DECIMALS) for edge in edges)
    return {"left": left, "top": top, "right": right, "bottom": bottom}

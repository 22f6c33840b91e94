"""``python -m model.patterns evaluate``: how many pictures pass by a pattern file, and why the others do not."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from contract.patterns.check import check
from contract.patterns.pattern import check_classes
from contract.patterns.placement import placed_objects
from contract.patterns.reasons import reasons
from model.command_line.output import name_width, print_json_array, printable
from model.command_line.pictures import Answers
from model.command_line.program import EXIT_SOME_FAILED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from contract.messages import Detection
    from contract.patterns.check import Finding, Verdict
    from contract.patterns.pattern import PatternSet
    from contract.patterns.placement import PlacedObject
    from model.command_line.pictures import Answered
    from model.detection.detector import Detector
    from model.detection.wanted import WantedObjects


class Judged(NamedTuple):
    path: Path
    detection: Detection
    verdict: Verdict


class Evaluation:
    """Judges pictures, and counts those that are good."""

    def __init__(self, patterns: PatternSet, answers: Iterable[Answered[Detection]], wanted: WantedObjects) -> None:
        self._patterns = patterns
        self._answers = answers
        self._wanted = wanted
        self.judged = self.good = 0

    def pictures(self) -> Iterator[Judged]:
        for path, answer in self._answers:
            detection = self._wanted.of(answer)
            verdict = check(self._patterns, detection)
            self.judged += 1
            self.good += verdict.decision
            yield Judged(path, detection, verdict)


def run(detector: Detector, pictures: Sequence[Path], wanted: WantedObjects, patterns: PatternSet, form: str) -> int:
    """Print a line or more for each picture, as ``form`` says, and how many pass.

    The count is in a table's last line; of the other forms, which programs read, it goes to standard error.

    Returns:
        The exit code.

    Raises:
        BadPattern: the patterns name a class that the detector does not know.
    """
    check_classes(patterns, detector.bundle.labels)
    answers = Answers(detector, pictures)
    evaluation = Evaluation(patterns, answers, wanted)
    match form:
        case "json":
            print_json_array(map(_shown, evaluation.pictures()))
        case "csv":
            print_csv(evaluation.pictures())
        case _:
            print_table(evaluation.pictures(), pictures)
    count = f"{evaluation.good} of {evaluation.judged} pictures pass"
    print(count, file=sys.stdout if form == "table" else sys.stderr)
    return EXIT_SOME_FAILED if answers.failed or evaluation.good < evaluation.judged else 0


def print_table(judged: Iterable[Judged], pictures: Sequence[Path]) -> None:
    """A line for each picture: name, good or bad, the pattern, how many of its objects were found, and reasons."""
    width = name_width(pictures)
    for each in judged:
        verdict = each.verdict
        count = f"{verdict.count('found')}/{len(verdict.findings)}"
        words = "; ".join(reasons(verdict))
        print(f"{printable(each.path):<{width}}  {_word(verdict):<4}  {verdict.pattern}  {count}  {words}".rstrip())


def print_csv(judged: Iterable[Judged]) -> None:
    """Columns picture, decision (good or bad), pattern, found, expected, surplus (counts), reasons; a row a picture."""
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["picture", "decision", "pattern", "found", "expected", "surplus", "reasons"])
    for path, _, verdict in judged:
        counts = verdict.count("found"), len(verdict.findings), len(verdict.surplus)
        rows.writerow([path, _word(verdict), verdict.pattern, *counts, "; ".join(reasons(verdict))])


def _shown(judged: Judged) -> dict[str, Any]:
    """A picture's JSON. ``decision`` is true or false.

    ``objects`` are the pattern's, in its order: ``box``, relative to the picture, is of the object that was found, or
    lies elsewhere, and ``offset`` how far it does. ``surplus`` are objects beside them.
    """
    verdict, placed = judged.verdict, placed_objects(judged.detection)
    surplus = [
        {"label": placed[index].label, "score": round(judged.detection.objects[index].score, 6)} | _box(placed[index])
        for index in verdict.surplus
    ]
    return {
        "picture": str(judged.path),
        "decision": verdict.decision,
        "pattern": verdict.pattern,
        "objects": [_finding(finding, placed) for finding in verdict.findings],
        "surplus": surplus,
        "reasons": reasons(verdict),
    }


def _finding(finding: Finding, placed: Sequence[PlacedObject]) -> dict[str, Any]:
    shown: dict[str, Any] = {"class": finding.expected.class_name, "state": finding.state}
    if finding.index is not None:
        shown |= _box(placed[finding.index])
    if finding.offset is not None:
        shown["offset"] = {edge: round(value, 4) for edge, value in finding.offset._asdict().items()}
    return shown


def _box(placed: PlacedObject) -> dict[str, list[float]]:
    return {"box": [round(edge, 4) for edge in placed.box]}


def _word(verdict: Verdict) -> str:
    return "good" if verdict.decision else "bad"

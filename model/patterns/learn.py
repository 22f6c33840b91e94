"""``python -m model.patterns learn``: a pattern file from pictures of good parts, and a report of what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.patterns.check import check
from contract.patterns.fields import is_name
from contract.patterns.pattern import BadPattern, Pattern, PatternSet
from contract.patterns.pattern_file import key_of, parse_patterns, read_pattern_file
from model.command_line.output import printable
from model.command_line.pictures import Answers
from model.command_line.program import EXIT_SOME_FAILED
from model.patterns.boxes import boxes_of
from model.patterns.drawing import draw
from model.patterns.learning import learn
from model.patterns.writing import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from contract.messages import Detection
    from contract.patterns.pattern import ExpectedObject
    from model.command_line.pictures import Answered
    from model.detection.detector import Detector
    from model.detection.wanted import WantedObjects
    from model.patterns.learning import LearningRules, Learnt, Placement


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be written.

    Attributes:
        file: the pattern file.
        picture: a PNG of a typical part with the pattern's boxes; not among ``pictures``, of which it would be one.
        pictures: the folder of good parts.
        name: of the pattern.
        add: whether the file may be there; then other patterns in it stay, and one of this name is replaced.
    """

    file: Path
    picture: Path
    pictures: Path
    name: str
    add: bool

    def check(self) -> PatternSet | None:
        """What the file holds already.

        Raises:
            BadPattern: it is in the way, wrong itself, or it or the pattern can't have this name.
        """
        key_of(self.file)
        if not is_name(self.name):
            raise BadPattern(f"{self.name!a} can't be a pattern's name; state another with --name")
        if self.picture.resolve().is_relative_to(self.pictures.resolve()):
            raise BadPattern(f"{printable(self.picture)} would be one more picture of a good part: see --picture")
        if not self.file.exists():
            if self.picture.exists():
                raise BadPattern(f"{printable(self.picture)} is there already, and not of this pattern: see --picture")
            return None
        if not self.add:
            raise BadPattern(f"{printable(self.file)} is there already; with --add the pattern becomes one more of it")
        return read_pattern_file(self.file)


def run(detector: Detector, pictures: Sequence[Path], wanted: WantedObjects, rules: LearningRules, goal: Goal) -> int:
    """Learn from the pictures, write, and print a report.

    Returns:
        The exit code.

    Raises:
        BadPattern: as ``Goal.check``; nothing is changed.
        Unclear: as ``learn``; nothing is changed.
        OSError: a file can't be written.
    """
    there = goal.check()
    answers = Answers(detector, pictures)
    seen = [each._replace(answer=wanted.of(each.answer)) for each in answers]
    learnt = learn(goal.name, [each.answer for each in seen], detector.bundle.labels, rules)
    typical = seen[learnt.typical].path
    drawn = draw(typical.read_bytes(), detector.decoder, boxes_of(learnt))
    _write(
        goal.file,
        _text(goal, there, learnt.pattern, f"written by: python -m model.patterns learn, with {detector.bundle.model}"),
    )
    goal.picture.write_bytes(drawn)
    _report(seen, learnt, goal)
    print(f"written: {printable(goal.file)}, and {printable(goal.picture)}, drawn on {printable(typical)}")
    return EXIT_SOME_FAILED if answers.failed else 0


def _text(goal: Goal, there: PatternSet | None, pattern: Pattern, remark: str) -> str:
    """Of a file that can be read again. Raises BadPattern: with this pattern there are too many."""
    patterns = {old.name: old for old in there.patterns} if there else {}
    patterns[pattern.name] = pattern
    key = key_of(goal.file)
    text = text_of(PatternSet(key, tuple(patterns.values())), remark)
    parse_patterns(key, text, goal.file.name)
    return text


def _write(path: Path, text: str) -> None:
    """Readers see the file as before or as after."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _report(seen: Sequence[Answered[Detection]], learnt: Learnt, goal: Goal) -> None:
    names, count = [printable(each.path) for each in seen], len(seen)
    pattern = PatternSet(key_of(goal.file), (learnt.pattern,))
    objects = "1 object" if len(learnt.placements) == 1 else f"{len(learnt.placements)} objects"
    print(f"{pattern.key}, pattern {goal.name}: {objects}, learnt from {count} pictures")
    pairs = zip(learnt.pattern.objects, learnt.placements, strict=True)
    for number, (expected, placed) in enumerate(pairs, 1):
        print(f"{number:>4} {placed.name}: in {len(placed.pictures)}, {_edges(expected)}; {_movement(placed, names)}")
    for placed in learnt.left_out:
        place = ", ".join(f"{edge:.3f}" for edge in placed.median)
        print(
            f"   - {placed.name}: left out, only in {len(placed.pictures)}, as {names[placed.pictures[0]]}: [{place}]"
        )
    bad = [each.path for each in seen if not check(pattern, each.answer).decision]
    print(
        f"{count - len(bad)} of these {count} pictures pass"
        + (f"; not {', '.join(map(printable, bad))}" if bad else "")
    )


def _edges(expected: ExpectedObject) -> str:
    inner, outer = expected.inner, expected.outer
    return (
        f"left {outer.left:.3f}-{inner.left:.3f}, top {outer.top:.3f}-{inner.top:.3f}, "
        f"right {inner.right:.3f}-{outer.right:.3f}, bottom {inner.bottom:.3f}-{outer.bottom:.3f}"
    )


def _movement(placed: Placement, names: Sequence[str]) -> str:
    lowest, highest = placed.extremes
    return f"an edge moved by {placed.spread:.3f}, most between {names[lowest]} and {names[highest]}"

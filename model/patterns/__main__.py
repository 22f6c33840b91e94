"""Patterns from the command line: ``python -m model.patterns learn FOLDER -o FILE`` and ``... evaluate FOLDER FILE``.

No service need run: the pictures are shown to the detector that is served. Answers go to standard output, progress and
trouble to standard error. The exit code is 0 when the pattern was written, or every picture passed; 1 when a picture
could not be read, or did not pass; 2 when there was nothing to do, no detector to do it with, or no telling what a good
part is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from contract.patterns.pattern import BadPattern
from contract.patterns.pattern_file import read_pattern_file
from contract.settings import listed, load_settings
from model.command_line.models import open_model
from model.command_line.options import add_format_option, add_model_option, share
from model.command_line.output import take_any_name
from model.command_line.pictures import pictures_in
from model.command_line.program import nothing_done, run_politely
from model.detection.detector import Detector
from model.detection.wanted import USUAL_MIN_SCORE, WantedObjects, least_score
from model.errors import ModelError
from model.patterns import evaluate, learn
from model.patterns.errors import Unclear
from model.patterns.learning import LearningRules
from model.settings import ModelSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

RULES = LearningRules()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m model.patterns", description="Make and try patterns of parts.")
    commands = parser.add_subparsers(required=True, dest="command")
    both = argparse.ArgumentParser(add_help=False)
    both.add_argument("folder", type=Path, metavar="FOLDER", help="pictures, at any depth, each of one part")
    both.add_argument(
        "--min-score",
        type=share,
        metavar="S",
        help=f"objects below do not count (default: {USUAL_MIN_SCORE:g}, or the model's own least if that is higher)",
    )
    add_model_option(both, "detector")
    learning = commands.add_parser("learn", parents=[both], help="a pattern from pictures of good parts")
    learning.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the pattern file, .yaml")
    learning.add_argument("--name", help="of the pattern (default: the folder's)")
    learning.add_argument(
        "--add", action="store_true", help="to a file that is there; a pattern of this name in it is replaced"
    )
    learning.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="a part with the boxes drawn on it, .png (default: beside the file)",
    )
    learning.add_argument("--labels", type=listed, default=[], metavar="A,B", help="only objects of these labels")
    learning.add_argument(
        "--spread",
        type=share,
        default=RULES.spread,
        metavar="D",
        help="how far apart an edge of one object may lie over the pictures, relative to the picture (default: 0.1)",
    )
    learning.add_argument(
        "--least-share",
        type=share,
        default=RULES.least_share,
        metavar="P",
        help="of the pictures, in which an object must be to be expected (default: 0.9)",
    )
    evaluation = commands.add_parser("evaluate", parents=[both], help="which pictures pass, and why others do not")
    evaluation.add_argument("pattern", type=Path, metavar="FILE", help="a pattern file")
    add_format_option(evaluation)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code, as the module says.
    """
    wanted = _parser().parse_args(arguments)
    settings = load_settings(ModelSettings)
    take_any_name()
    pictures = pictures_in([wanted.folder])
    if not pictures:
        return nothing_done("no pictures found")
    try:
        return (
            _learn(wanted, settings, pictures) if wanted.command == "learn" else _evaluate(wanted, settings, pictures)
        )
    except (BadPattern, ModelError, Unclear) as error:
        return nothing_done(str(error))
    except OSError as error:
        return nothing_done(f"{error.filename}: {error.strerror or error}")


def _learn(wanted: argparse.Namespace, settings: ModelSettings, pictures: Sequence[Path]) -> int:
    goal = learn.Goal(
        file=wanted.output,
        picture=wanted.picture or wanted.output.with_suffix(".png"),
        pictures=wanted.folder,
        name=wanted.name if wanted.name is not None else wanted.folder.resolve().name,
        add=wanted.add,
    )
    goal.check()  # before the work
    rules = LearningRules(wanted.spread, wanted.least_share)
    with open_model(Detector, settings, wanted.model) as detector:
        counting = WantedObjects(least_score(wanted.min_score, detector), tuple(wanted.labels))
        counting.check(detector)
        return learn.run(detector, pictures, counting, rules, goal)


def _evaluate(wanted: argparse.Namespace, settings: ModelSettings, pictures: Sequence[Path]) -> int:
    patterns = read_pattern_file(wanted.pattern)
    with open_model(Detector, settings, wanted.model) as detector:
        counting = WantedObjects(least_score(wanted.min_score, detector))
        counting.check(detector)
        return evaluate.run(detector, pictures, counting, patterns, wanted.format)


if __name__ == "__main__":
    sys.exit(run_politely(main))

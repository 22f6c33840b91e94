"""Classify files and folders from the command line: ``python -m model.classify FILE|FOLDER...``.

Answers go to standard output, progress and trouble to standard error. The exit code is 0 when every picture was
classified, 1 when some were not, 2 when there was nothing to do or no model to do it with.
"""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any

from contract.settings import load_settings
from model.classifier import Classifier
from model.command_line.models import open_model
from model.command_line.options import picture_parser
from model.command_line.output import name_width, print_json_array, printable, take_any_name
from model.command_line.pictures import Answers, pictures_in
from model.command_line.program import EXIT_SOME_FAILED, nothing_done, run_politely
from model.errors import ModelError
from model.settings import ModelSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from contract.messages import Classification
    from model.command_line.pictures import Answered


def print_table(answers: Iterable[Answered[Classification]], pictures: Sequence[Path]) -> None:
    """One line per label; the picture's name stands on its first, and there too whether it is damaged."""
    width = name_width(pictures)
    for path, answer in answers:
        name = printable(path)
        remark = "  (damaged)" if answer.damaged else ""
        for entry in answer.labels:
            print(f"{name:<{width}}  {entry.score:7.4f}  {entry.label}{remark}")
            name = remark = ""


def shown(answered: Answered[Classification], *, strict: bool) -> dict[str, Any]:
    """``{"picture", "predictions": [{"label", "score"}]}``.

    Unless damaged pictures are left out (``strict``), it has a ``"damaged"`` too.
    """
    path, answer = answered
    predictions = [{"label": entry.label, "score": round(entry.score, 6)} for entry in answer.labels]
    damaged = {} if strict else {"damaged": answer.damaged}
    return {"picture": str(path), "predictions": predictions, **damaged}


def print_csv(answers: Iterable[Answered[Classification]], *, strict: bool) -> None:
    """Columns picture, rank (1 is best), label, score; one row per label.

    Unless damaged pictures are left out (``strict``), a fifth column, damaged, has ``true`` or ``false``.
    """
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["picture", "rank", "label", "score", *([] if strict else ["damaged"])])
    for path, answer in answers:
        damaged = [] if strict else [json.dumps(answer.damaged)]
        for rank, entry in enumerate(answer.labels, start=1):
            rows.writerow([path, rank, entry.label, f"{entry.score:.6f}", *damaged])


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = picture_parser("python -m model.classify", "Say what pictures show.", "classifier")
    parser.add_argument("--top-k", type=int, default=5, metavar="N", help="labels per picture (default: 5)")
    parsed = parser.parse_args(arguments)
    if parsed.top_k < 1:
        parser.error("--top-k must be at least 1")
    return parsed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code, as the module says.
    """
    settings = load_settings(ModelSettings)
    wanted = _arguments(arguments)
    take_any_name()
    pictures = pictures_in(wanted.paths)
    if not pictures:
        return nothing_done("no pictures found")
    try:
        with open_model(Classifier, settings, wanted.model, top_k=wanted.top_k) as classifier:
            answers = Answers(classifier, pictures, strict=wanted.strict)
            _print(answers, wanted, pictures)
    except ModelError as error:
        return nothing_done(str(error))
    return EXIT_SOME_FAILED if answers.failed else 0


def _print(answers: Answers[Classification], wanted: argparse.Namespace, pictures: Sequence[Path]) -> None:
    match wanted.format:
        case "json":
            print_json_array(shown(answered, strict=wanted.strict) for answered in answers)
        case "csv":
            print_csv(answers, strict=wanted.strict)
        case _:
            print_table(answers, pictures)


if __name__ == "__main__":
    sys.exit(run_politely(main))

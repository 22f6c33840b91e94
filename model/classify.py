"""Classify files and folders from the command line: ``python -m model.classify FILE|FOLDER...``.

Answers go to standard output, progress and trouble to standard error. The exit code is 0 when every picture was
classified, 1 when some were not, 2 when there was nothing to do or no model to do it with.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from contract.messages import Failure, Label
from contract.settings import load_settings
from model.classifier import Classifier
from model.cpu import usable_cpus
from model.errors import BundleError, ModelError
from model.models_folder import choose
from model.opening import open_predictor
from model.picture import Picture
from model.settings import ModelSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

PICTURE_SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif",
    ".heic", ".heif", ".hif",
}  # fmt: skip
BATCH = 8

EXIT_SOME_FAILED, EXIT_NOTHING_DONE, EXIT_INTERRUPTED = 1, 2, 130


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A picture and its labels, best first; ``damaged`` if they are those of what was left of it."""

    picture: Path
    labels: tuple[Label, ...]
    damaged: bool


class Run:
    """Classifies pictures one batch after the other, and counts those that could not be.

    Args:
        strict: whether damaged pictures are left out.
    """

    def __init__(self, classifier: Classifier, pictures: Sequence[Path], *, strict: bool) -> None:
        self._classifier = classifier
        self._pictures = pictures
        self._strict = strict
        self.failed = 0

    def answers(self) -> Iterator[LabelledPicture]:
        with tqdm(total=len(self._pictures), unit="picture", disable=None if len(self._pictures) > 1 else True) as bar:
            for start in range(0, len(self._pictures), BATCH):
                batch = self._pictures[start : start + BATCH]
                answers = self._classify(batch)
                with tqdm.external_write_mode():  # the bar makes room while the answers are written
                    yield from answers
                bar.update(len(batch))

    def _classify(self, batch: Sequence[Path]) -> list[LabelledPicture]:
        readable = [(picture, data) for picture in batch if (data := self._read(picture)) is not None]
        outcomes = self._classifier.predict([Picture(data, self._strict) for _, data in readable])
        answers = []
        for (picture, _), outcome in zip(readable, outcomes, strict=True):
            if isinstance(outcome, Failure):
                self._skip(picture, outcome.detail)
            else:
                answers.append(LabelledPicture(picture, outcome.labels, outcome.damaged))
        return answers

    def _read(self, picture: Path) -> bytes | None:
        try:
            return picture.read_bytes()
        except OSError as error:
            self._skip(picture, error.strerror or str(error))
            return None

    def _skip(self, picture: Path, reason: str) -> None:
        self.failed += 1
        tqdm.write(f"skipped {printable(picture)}: {reason}", file=sys.stderr)


def pictures_in(paths: Iterable[Path]) -> list[Path]:
    """Files as they are named; of folders, whatever has a picture's suffix, at any depth, in order of name."""
    return [picture for path in paths for picture in (_walk(path) if path.is_dir() else [path])]


def _walk(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())


def print_table(answers: Iterable[LabelledPicture], pictures: Sequence[Path]) -> None:
    """One line per label; the picture's name stands on its first, and there too whether it is damaged."""
    width = max(len(printable(picture)) for picture in pictures)
    for answer in answers:
        name = printable(answer.picture)
        remark = "  (damaged)" if answer.damaged else ""
        for entry in answer.labels:
            print(f"{name:<{width}}  {entry.score:7.4f}  {entry.label}{remark}")
            name = remark = ""


def print_json(answers: Iterable[LabelledPicture], *, strict: bool) -> None:
    """An array of ``{"picture", "predictions": [{"label", "score"}]}``, written as the answers come.

    Unless damaged pictures are left out (``strict``), each object has a ``"damaged"`` too.
    """
    separator = "["
    for answer in answers:
        predictions = [{"label": entry.label, "score": round(entry.score, 6)} for entry in answer.labels]
        shown: dict[str, Any] = {"picture": str(answer.picture), "predictions": predictions}
        if not strict:
            shown["damaged"] = answer.damaged
        print(separator, json.dumps(shown), sep="\n", end="")
        separator = ","
    print("[]" if separator == "[" else "\n]")


def print_csv(answers: Iterable[LabelledPicture], *, strict: bool) -> None:
    """Columns picture, rank (1 is best), label, score; one row per label.

    Unless damaged pictures are left out (``strict``), a fifth column, damaged, has ``true`` or ``false``.
    """
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["picture", "rank", "label", "score", *([] if strict else ["damaged"])])
    for answer in answers:
        damaged = [] if strict else [json.dumps(answer.damaged)]
        for rank, entry in enumerate(answer.labels, start=1):
            rows.writerow([answer.picture, rank, entry.label, f"{entry.score:.6f}", *damaged])


def printable(picture: Path) -> str:
    """A file's name on one line of a terminal, whatever characters it holds."""
    name = str(picture)
    return name if name.isprintable() else ascii(name)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.classify", description="Classify pictures.")
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE|FOLDER")
    parser.add_argument("--top-k", type=int, default=5, metavar="N", help="labels per picture (default: 5)")
    parser.add_argument("--format", choices=["table", "json", "csv"], default="table", help="default: table")
    parser.add_argument(
        "--no-strict",
        dest="strict",
        action="store_false",
        help="classify damaged pictures too, by what is there of them, and say which they are",
    )
    parser.add_argument(
        "--model",
        metavar="NAME|PATH",
        help="a name in $MODELS_DIR (./models), or a path with a slash: a bundle, a folder of bundles or an .onnx file "
        "(default: the first of $MODELS, else $MODEL_PATH, else the classifier in $MODELS_DIR; of several, resnet50)",
    )
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
    # A file name may hold what the terminal's encoding can't show; that must not end the run.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a text stream has it
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    pictures = pictures_in(wanted.paths)
    if not pictures:
        print("no pictures found", file=sys.stderr)
        return EXIT_NOTHING_DONE
    with ExitStack() as stack:
        try:
            if wanted.model is not None:
                settings = settings.model_copy(update={"models": (wanted.model,), "model_path": None})
            path, *_ = choose(settings)
            opened = open_predictor(
                path,
                settings.labels_path,
                max_pixels=settings.max_pixels,
                num_threads=usable_cpus(),
                top_k=wanted.top_k,
            )
            classifier = stack.enter_context(opened)
            if not isinstance(classifier, Classifier):
                raise BundleError(f"{classifier.bundle.model} is no classifier: name one with --model")
        except ModelError as error:
            advice = (
                "" if (settings.model_path or settings.models_dir).exists() else ". `make model` builds the models."
            )
            print(f"{error}{advice}", file=sys.stderr)
            return EXIT_NOTHING_DONE
        return _print_answers(Run(classifier, pictures, strict=wanted.strict), wanted, pictures)


def _print_answers(run: Run, wanted: argparse.Namespace, pictures: Sequence[Path]) -> int:
    match wanted.format:
        case "json":
            print_json(run.answers(), strict=wanted.strict)
        case "csv":
            print_csv(run.answers(), strict=wanted.strict)
        case _:
            print_table(run.answers(), pictures)
    return EXIT_SOME_FAILED if run.failed else 0


def run_politely(main: Callable[[], int]) -> int:
    """A command line's ``main``, ending quietly when the reader of our output leaves (``| head``) or at Ctrl-C."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes standard output once more at exit; what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_SOME_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(run_politely(main))

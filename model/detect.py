"""Find the objects in files and folders from the command line: ``python -m model.detect FILE|FOLDER...``.

Answers go to standard output, progress and trouble to standard error. The exit code is 0 when every picture was looked
at, 1 when some were not or could not be drawn, 2 when there was nothing to do or no model to do it with.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from contract.settings import listed, load_settings
from model.command_line.drawn_files import DrawnFiles
from model.command_line.models import open_model
from model.command_line.options import picture_parser, share
from model.command_line.output import name_width, print_json_array, printable, reason_of, take_any_name
from model.command_line.pictures import Answers, pictures_in
from model.command_line.program import EXIT_SOME_FAILED, CannotBegin, nothing_done, run_politely
from model.detection.detector import Detector
from model.detection.wanted import SCORE_DECIMALS, USUAL_MIN_SCORE, WantedObjects, least_score
from model.errors import ModelError, PictureError
from model.settings import ModelSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from contract.messages import Box, DetectedObject, Detection

PIXEL_DECIMALS = 2
SIDES = ("x", "y", "width", "height")


class Seen(NamedTuple):
    """The wanted objects of a picture, and where they are drawn; None if they are not."""

    picture: Path
    detection: Detection
    drawn: Path | None


class Looking:
    """Shows pictures to a detector, has what it finds drawn, and counts the pictures at which that fails.

    Args:
        drawn_files: None if nothing is drawn.
        strict: as of ``Answers``.
    """

    def __init__(
        self,
        detector: Detector,
        pictures: Sequence[Path],
        wanted: WantedObjects,
        drawn_files: DrawnFiles | None,
        *,
        strict: bool,
    ) -> None:
        self._answers = Answers(detector, pictures, strict=strict)
        self._decoder = detector.decoder
        self._wanted = wanted
        self._drawn_files = drawn_files
        self._undrawn = 0

    @property
    def failed(self) -> int:
        return self._answers.failed + self._undrawn

    def __iter__(self) -> Iterator[Seen]:
        for picture, answer in self._answers:
            detection = self._wanted.of(answer)
            yield Seen(picture, detection, self._drawn(picture, detection))

    def _drawn(self, picture: Path, detection: Detection) -> Path | None:
        if self._drawn_files is None:
            return None
        try:
            return self._drawn_files.write(picture, detection, self._decoder)
        except (OSError, PictureError) as error:
            self._undrawn += 1
            tqdm.write(f"not drawn {printable(picture)}: {reason_of(error)}", file=sys.stderr)
            return None


def print_table(looking: Iterable[Seen], pictures: Sequence[Path], labels: Sequence[str]) -> None:
    """One line per object, best first; the picture's name stands on its first, and there too whether it is damaged.

    A picture without objects has one line, and one that was drawn one more.
    """
    width, label_width = name_width(pictures), max(map(len, labels))
    for picture, detection, drawn in looking:
        size = f"of {detection.width} x {detection.height}"
        lines = [
            f"{found.score:.4f}  {found.label:<{label_width}}  {_place(found.box)} {size}"
            for found in detection.objects
        ] or ["nothing"]
        lines[0] += "  (damaged)" if detection.damaged else ""
        if drawn is not None:
            lines.append(f"drawn: {printable(drawn)}")
        for name, line in zip([printable(picture), *[""] * (len(lines) - 1)], lines, strict=True):
            print(f"{name:<{width}}  {line}")


def shown(seen: Seen, *, strict: bool, draws: bool) -> dict[str, Any]:
    """``{"picture", "detections": [{"label", "class_id", "confidence", "box"}], "image": {"width", "height"}}``.

    As ``/detect`` answers, with the picture's name. Unless damaged pictures are left out (``strict``), it has a
    ``"damaged"`` too, and with ``draws`` a ``"drawn"``: where, or null if that failed.
    """
    picture, detection, drawn = seen
    fields: dict[str, Any] = {
        "picture": str(picture),
        "detections": [shown_object(found) for found in detection.objects],
        "image": {"width": detection.width, "height": detection.height},
    }
    if not strict:
        fields["damaged"] = detection.damaged
    if draws:
        fields["drawn"] = str(drawn) if drawn is not None else None
    return fields


def shown_object(found: DetectedObject) -> dict[str, Any]:
    """As in ``/detect``'s answers; ``box`` is in pixels, from the upper left corner of the upright picture."""
    return {
        "label": found.label,
        "class_id": found.index,
        "confidence": round(found.score, SCORE_DECIMALS),
        "box": dict(zip(SIDES, _sides(found.box), strict=True)),
    }


def print_csv(looking: Iterable[Seen], *, strict: bool, draws: bool) -> None:
    """Columns picture, rank (1 is best), label, class_id, confidence, x, y, width, height, image_width, image_height.

    One row per object; a picture without objects has one row, in which the columns of an object are empty. Further
    columns as the fields of ``shown``: damaged has ``true`` or ``false``.
    """
    rows = csv.writer(sys.stdout, lineterminator="\n")
    further = ([] if strict else ["damaged"]) + (["drawn"] if draws else [])
    columns = ["rank", "label", "class_id", "confidence", *SIDES]
    rows.writerow(["picture", *columns, "image_width", "image_height", *further])
    for picture, detection, drawn in looking:
        last: list[object] = [detection.width, detection.height]
        last += [] if strict else [json.dumps(detection.damaged)]
        last += [drawn if drawn is not None else ""] if draws else []
        objects: Iterable[Sequence[object]] = [
            (rank, found.label, found.index, f"{found.score:.{SCORE_DECIMALS}f}", *_sides(found.box))
            for rank, found in enumerate(detection.objects, start=1)
        ]
        rows.writerows([picture, *columns_of, *last] for columns_of in objects or [[""] * len(columns)])


def _sides(box: Box) -> tuple[float, ...]:
    """As ``SIDES`` names them, rounded as they are shown."""
    sides = (box.left, box.top, box.right - box.left, box.bottom - box.top)
    return tuple(round(side, PIXEL_DECIMALS) for side in sides)


def _place(box: Box) -> str:
    x, y, width, height = map(round, _sides(box))
    return f"{width} x {height} at {x}, {y}"


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = picture_parser("python -m model.detect", "Find the objects in pictures.", "detector")
    parser.add_argument(
        "--min-score",
        type=share,
        metavar="S",
        help=f"objects below are left out (default: {USUAL_MIN_SCORE:g}, or the model's own least if that is higher)",
    )
    parser.add_argument("--labels", type=listed, default=[], metavar="A,B", help="only objects of these labels")
    parser.add_argument("--max-detections", type=int, metavar="N", help="only the N best of them in each picture")
    parser.add_argument(
        "--draw",
        type=Path,
        metavar="FOLDER",
        help="write each picture there, upright, with its objects drawn on it (PNG); nothing is overwritten",
    )
    parsed = parser.parse_args(arguments)
    if parsed.max_detections is not None and parsed.max_detections < 1:
        parser.error("--max-detections must be at least 1")
    return parsed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code, as the module says.
    """
    settings = load_settings(ModelSettings)
    options = _arguments(arguments)
    take_any_name()
    pictures = pictures_in(options.paths)
    if not pictures:
        return nothing_done("no pictures found")
    drawn_files = DrawnFiles(options.draw, pictures) if options.draw is not None else None
    try:
        with open_model(Detector, settings, options.model) as detector:
            wanted = _wanted(options, detector)
            if drawn_files is not None:
                drawn_files.prepare()
            looking = Looking(detector, pictures, wanted, drawn_files, strict=options.strict)
            _print(looking, options, pictures, detector.bundle.labels)
    except (CannotBegin, ModelError) as error:
        return nothing_done(str(error))
    return EXIT_SOME_FAILED if looking.failed else 0


def _wanted(options: argparse.Namespace, detector: Detector) -> WantedObjects:
    """Raises BundleError: the detector has no such objects."""
    least = least_score(options.min_score, detector)
    wanted = WantedObjects(least, tuple(options.labels), options.max_detections)
    wanted.check(detector)
    return wanted


def _print(looking: Looking, options: argparse.Namespace, pictures: Sequence[Path], labels: Sequence[str]) -> None:
    draws = options.draw is not None
    match options.format:
        case "json":
            print_json_array(shown(seen, strict=options.strict, draws=draws) for seen in looking)
        case "csv":
            print_csv(looking, strict=options.strict, draws=draws)
        case _:
            print_table(looking, pictures, labels)


if __name__ == "__main__":
    sys.exit(run_politely(main))

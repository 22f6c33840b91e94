"""Check a model before it serves: ``python -m model.check FOLDER|FILE.onnx [PICTURE|FOLDER...]``.

A line for each finding, on standard output. The exit code is 0 when the model can serve and has an answer to every
picture, 1 when something is wrong, 2 when the command is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from contract.messages import Classification, Failure
from contract.settings import load_settings
from model.bundle import LABELS, MANIFEST, choose_bundle, load_bundle
from model.command_line.output import take_any_name
from model.command_line.pictures import pictures_in
from model.cpu import usable_cpus
from model.decode import Decoder
from model.errors import ModelError
from model.manifest import OutputSpec
from model.opening import predictor_of
from model.picture import Picture
from model.settings import ModelSettings
from model.warm_up import are_probabilities, may_be_probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from contract.messages import Detection
    from model.bundle import Bundle, GoldenCheck
    from model.opening import AnyPredictor

SHOWN = 3  # labels or objects of each picture


class Findings:
    """Prints them, and remembers whether any is a fault."""

    def __init__(self) -> None:
        self.faulty = False

    def good(self, what: str, how: str) -> None:
        self._print("ok", what, how)

    def remark(self, what: str, how: str) -> None:
        self._print("note", what, how)

    def fault(self, what: str, how: str) -> None:
        self.faulty = True
        for line in how.splitlines():  # a manifest may be wrong in several places
            self._print("WRONG", what, line)

    def _print(self, verdict: str, what: str, how: str) -> None:
        print(f"{verdict:<6} {what:<9} {how}", flush=True)


def check(path: Path, labels_path: Path | None, pictures: Sequence[Path], max_pixels: int) -> bool:
    """Print what is found at ``path``, until something is wrong that the rest stands on.

    Args:
        path, labels_path: as ``open_predictor`` takes them.
        max_pixels: the largest picture, width x height.

    Returns:
        Whether all is well.
    """
    findings = Findings()
    step = "files"
    try:
        bundle = load_bundle(choose_bundle(path), labels_path)
        _say_files(findings, bundle)
        step = "network"
        with Decoder(max_pixels) as decoder:
            predictor = predictor_of(bundle, decoder, num_threads=usable_cpus(), top_k=SHOWN)
            spec, classes = bundle.input, len(bundle.labels)
            findings.good(
                step,
                f"takes {spec.dtype} {spec.layout}, {spec.width} x {spec.height} pixels, and gives {classes} classes",
            )
            step = "output"
            _say_output(findings, bundle, predictor.warm_up())
            step = "golden"
            if bundle.golden is None:
                findings.remark(step, f"{MANIFEST} names no picture, and what must be said of it")
            else:
                findings.good(step, f"{_told(bundle.golden)}, {predictor.check_golden(bundle.golden):.4f}")
            for picture in pictures:
                _say_picture(findings, predictor, picture)
    except ModelError as error:
        findings.fault(step, str(error))
    return not findings.faulty


def _say_files(findings: Findings, bundle: Bundle) -> None:
    kind = f"{bundle.name} ({bundle.precision}), digest {bundle.digest[:12]}"
    if bundle.bare:
        findings.remark("manifest", f"{kind}: none, so the standard one of ImageNet's classifiers")
    else:
        findings.good("manifest", kind)
    if bundle.pinned:
        findings.good("files", f"as their checksums say: {', '.join(bundle.pinned)}")
    else:
        findings.remark("files", "no checksums are stated: a changed file would not be noticed")
    findings.good("labels", f"{len(bundle.labels)}, from {bundle.labels[0]!r} to {bundle.labels[-1]!r}")


def _say_output(findings: Findings, bundle: Bundle, scores: NDArray) -> None:  # type: ignore[type-arg]
    if not isinstance(bundle.output, OutputSpec):
        seen = f" with scores from {scores.min():.3g} to {scores.max():.3g}" if len(scores) else ""
        findings.good("output", f"{len(scores)} rows{seen}, of the form {bundle.output.form}")
        return
    seen = f"{len(scores)} rows from {scores.min():.3g} to {scores.max():.3g}, as {bundle.output.kind} are"
    if bundle.output.kind == "logits":
        findings.good("output", f"{seen}; softmax is applied")
        if may_be_probabilities(scores):
            findings.remark("output", "all between 0 and 1: if it ends in a sigmoid, the kind is probabilities")
    elif are_probabilities(scores):
        findings.good("output", f"{seen}, each with the sum 1; no softmax is applied")
    else:
        findings.remark("output", f"{seen}, but their sums are not 1: right only if classes don't exclude each other")


def _told(golden: GoldenCheck) -> str:
    said = f"is {golden.label}" if golden.label else f"has {', '.join(found.label for found in golden.objects)}"
    return f"{golden.picture.name} {said}"


def _say_picture(findings: Findings, predictor: AnyPredictor, picture: Path) -> None:
    try:
        (outcome,) = predictor.predict([Picture(picture.read_bytes())])
    except OSError as error:
        findings.fault("picture", f"{picture}: {error.strerror or error}")
        return
    if isinstance(outcome, Failure):
        findings.fault("picture", f"{picture}: {outcome.detail}")
    else:
        findings.good("picture", f"{picture}: {_best(outcome)}")


def _best(answer: Classification | Detection) -> str:
    if isinstance(answer, Classification):
        return ", ".join(f"{entry.label} {entry.score:.4f}" for entry in answer.labels)
    best = [
        f"{found.label} {found.score:.4f} at {[round(side) for side in found.box]}" for found in answer.objects[:SHOWN]
    ]
    count = f"{len(answer.objects)} object{'' if len(answer.objects) == 1 else 's'}"
    return f"{', '.join(best) or 'nothing'}; {count} in {answer.width} x {answer.height} pixels"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code, as the module says.
    """
    parser = argparse.ArgumentParser(prog="python -m model.check", description="Check a model before it serves.")
    parser.add_argument("model", type=Path, metavar="FOLDER|FILE.onnx")
    parser.add_argument("pictures", nargs="*", type=Path, metavar="PICTURE|FOLDER", help="shown with their labels")
    parser.add_argument("--labels", type=Path, metavar="FILE", help=f"of an .onnx file, as {LABELS} of a bundle")
    wanted = parser.parse_args(arguments)
    settings = load_settings(ModelSettings)
    take_any_name()
    labels_path = wanted.labels or settings.labels_path
    return 0 if check(wanted.model, labels_path, pictures_in(wanted.pictures), settings.max_pixels) else 1


if __name__ == "__main__":
    sys.exit(main())

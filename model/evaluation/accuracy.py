"""`python -m model.evaluation.accuracy --photos DIR`: what rounding to int8 costs, on labelled photos.

Cross-validated: int8 is calibrated on every other photo and judged on those between, and the other way round, so
no photo judges ranges that it helped to find. The bundle itself is calibrated on all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx

from model.bundle import load_bundle
from model.cpu import usable_cpus
from model.export import calibrate, photos, quantise
from model.export.graph import INPUT
from model.onnx_runtime import open_graph

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

BATCH = 10


@dataclass(frozen=True)
class Comparison:
    """fp32 and int8 on the same photos: float32 (N, classes) each, and the true classes, int64 (N,)."""

    fp32: NDArray[np.float32]
    int8: NDArray[np.float32]
    classes: NDArray[np.int64]

    @property
    def top1_fp32(self) -> float:
        return float((self.fp32.argmax(axis=1) == self.classes).mean())

    @property
    def top1_int8(self) -> float:
        return float((self.int8.argmax(axis=1) == self.classes).mean())

    @property
    def agreement(self) -> float:
        """Share of photos to which both give the same label."""
        return float((self.fp32.argmax(axis=1) == self.int8.argmax(axis=1)).mean())


def main() -> None:
    """Print the figures."""
    collection, models, name = photos.from_arguments("model.evaluation.accuracy", __doc__)
    fp32 = calibrate.fp32_bundle(models, name)
    for manifest in sorted(models.glob(f"{name}-*/model.json")):
        bundle = load_bundle(manifest.parent)
        scores = run(onnx.load(bundle.model_path), collection.pixels(bundle.preprocess, bundle.input))
        print(f"{manifest.parent.name:24} top-1 {(scores.argmax(axis=1) == collection.classes).mean():.1%}", flush=True)
    result = cross_validate(fp32, collection)
    print(
        f"cross-validated on {len(collection.files)} photos: top-1 fp32 {result.top1_fp32:.1%}, "
        f"int8 {result.top1_int8:.1%}; same label on {result.agreement:.1%}"
    )


def cross_validate(fp32_bundle: Path, collection: photos.Photos) -> Comparison:
    """Compare the network before and after rounding, each half of the photos with ranges from the other half."""
    bundle = load_bundle(fp32_bundle)
    model = onnx.load(bundle.model_path)
    pixels = collection.pixels(bundle.preprocess, bundle.input)
    fp32 = run(model, pixels)
    int8 = np.empty_like(fp32)
    halves = (slice(0, None, 2), slice(1, None, 2))
    for seen, unseen in (halves, halves[::-1]):
        ranges = calibrate.mean_ranges(calibrate.observe(model, pixels[seen]))
        int8[unseen] = run(quantise.quantise(model, ranges), pixels[unseen])
    return Comparison(fp32, int8, collection.classes)


def run(model: onnx.ModelProto, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the probabilities for uint8 (N, height, width, 3), float32 (N, classes)."""
    session = open_graph(model.SerializeToString(), num_threads=usable_cpus())
    scores = [session.run(None, {INPUT: pixels[start : start + BATCH]})[0] for start in range(0, len(pixels), BATCH)]
    return np.concatenate(scores)


if __name__ == "__main__":
    main()

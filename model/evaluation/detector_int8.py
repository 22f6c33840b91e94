"""`python -m model.evaluation.detector_int8 --photos DIR`: what rounding SSDLite-MobileNetV2 to 8 bits would change.

The ranges come from one half of the photos and are tried on the other, and the other way round. An object that fp32
finds with a score of 0.5 or more counts as found in int8 if an object of the same label, of 0.4 or more, overlaps it by
0.9 (intersection over union). The times are of both networks in turns, on one thread.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import onnx

from contract.overlap import iou
from model.bundle import load_bundle
from model.detection.candidates import choose, read_rows
from model.detection.spec import SsdSpec
from model.detection.suppression import suppress
from model.evaluation.speed import compare
from model.export import photos, quantise
from model.export.calibrate import fp32_bundle, mean_ranges, observe, rounded_tensors
from model.export.graph import INPUT
from model.export.ssdlite_mobilenetv2.network import SSDLITE_MOBILENETV2
from model.onnx_runtime import open_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

    from model.bundle import Bundle
    from model.detection.candidates import Candidates

    Extremes = dict[str, NDArray[np.float32]]
    Ranges = dict[str, tuple[float, float]]

FOUND_AT, OVERLAP, SEEN_AT = 0.5, 0.9, 0.4
NOT_MAPS = {"centres", "bottom_right"}  # additions of boxes
HEADS = "BoxPredictor"


def extreme_ranges(extremes: Extremes) -> Ranges:
    """The lowest and highest value of all photos."""
    return {tensor: (float(values[:, 0].min()), float(values[:, 1].max())) for tensor, values in extremes.items()}


def is_part_of_backbone(tensor: str) -> bool:
    return not tensor.startswith(HEADS)


def is_no_prediction(tensor: str) -> bool:
    """All but the heads' last convolutions."""
    return is_part_of_backbone(tensor) or "depthwise" in tensor


WAYS: dict[str, tuple[Callable[[Extremes], Ranges], Callable[[str], bool]]] = {
    "means, all": (mean_ranges, lambda _: True),
    "means, predictions in float": (mean_ranges, is_no_prediction),
    "means, heads in float": (mean_ranges, is_part_of_backbone),
    "extremes, predictions in float": (extreme_ranges, is_no_prediction),
    "extremes, heads in float": (extreme_ranges, is_part_of_backbone),
}


def main() -> int:
    """Print a line for each way of rounding, and the times; returns the exit code."""
    parser = photos.argument_parser("model.evaluation.detector_int8", __doc__)
    parser.set_defaults(name=SSDLITE_MOBILENETV2.name)
    options = parser.parse_args()
    bundle = load_bundle(fp32_bundle(options.models, options.name))
    model, pixels = onnx.load(bundle.model_path), options.photos.pixels(bundle.preprocess, bundle.input)
    tensors = [tensor for tensor in rounded_tensors(model) if tensor not in NOT_MAPS]
    extremes = observe(model, pixels, tensors)
    fp32 = open_graph(model.SerializeToString(), num_threads=1)
    wanted = detect(fp32, bundle, pixels)
    sessions = {"fp32": fp32}
    for name, (ranges, is_rounded) in WAYS.items():
        found: list[Candidates] = [*wanted]
        for half in (slice(0, None, 2), slice(1, None, 2)):
            other = slice(1 - half.start, None, 2)
            chosen = ranges({tensor: values[half] for tensor, values in extremes.items() if is_rounded(tensor)})
            int8 = open_graph(quantise.quantise(model, chosen).SerializeToString(), num_threads=1)
            found[other] = detect(int8, bundle, pixels[other])
        sessions[f"int8, {name}"] = int8
        kept, objects = agreement(wanted, found)
        print(f"{name}: {kept} of {objects} objects ({kept / objects:.1%})", flush=True)
    runs = {name: (_runner(session), pixels[:1]) for name, session in sessions.items()}
    compare("One picture at a time", runs)
    return 0


def detect(session: InferenceSession, bundle: Bundle, pixels: NDArray[np.uint8]) -> list[Candidates]:
    """The objects in each picture, of uint8 (N, 300, 300, 3)."""
    spec = bundle.output
    assert isinstance(spec, SsdSpec)
    found = []
    for picture in pixels:
        outputs = session.run([spec.outputs.boxes, spec.outputs.scores], {INPUT: picture[np.newaxis]})
        (rows,) = read_rows(outputs, spec, pictures=1)
        found.append(suppress(choose(rows, spec, bundle.input, len(bundle.labels)), spec.iou))
    return found


def agreement(wanted: Sequence[Candidates], found: Sequence[Candidates]) -> tuple[int, int]:
    """How many of the objects in ``wanted`` are in ``found`` as well, and how many there are."""
    kept = objects = 0
    for one, other in zip(wanted, found, strict=True):
        for box, label in zip(one.boxes[one.scores >= FOUND_AT], one.classes, strict=False):
            alike = other.boxes[(other.classes == label) & (other.scores >= SEEN_AT)]
            objects += 1
            kept += any(iou(tuple(box), tuple(candidate)) >= OVERLAP for candidate in alike)
    return kept, objects


def _runner(session: InferenceSession) -> Callable[[NDArray[np.uint8]], object]:
    return lambda batch: session.run(None, {INPUT: batch})


if __name__ == "__main__":
    sys.exit(main())

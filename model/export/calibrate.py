"""`python -m model.export.calibrate --photos DIR`: find the ranges that int8 rounds to, and store them.

Any network will do whose input and its centred form carry the names in ``model.export.graph``.

Each photo is run through the fp32 graph and the lowest and highest value of every tensor noted. The stored range
is the mean over the photos, not the extreme: one odd photo must not coarsen the steps for all others.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper

from model.bundle import load_bundle
from model.cpu import usable_cpus
from model.export import calibration, photos
from model.export.graph import CENTRED, INPUT
from model.export.networks import NETWORKS
from model.onnx_runtime import open_graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BATCH = 10


def main() -> None:
    """Write calibration.json."""
    parser = photos.argument_parser("model.export.calibrate", __doc__)
    parser.add_argument("--output", type=Path, help="default: the network's own, if `make model` makes it")
    options = parser.parse_args()
    if not options.output and options.name not in NETWORKS:
        parser.error(f"{options.name} is none of {', '.join(NETWORKS)}: say where its ranges go, with --output")
    output = options.output or NETWORKS[options.name].calibration
    collection, bundle = options.photos, load_bundle(fp32_bundle(options.models, options.name))
    print(f"Running {len(collection.files)} photos through the fp32 graph")
    extremes = observe(onnx.load(bundle.model_path), collection.pixels(bundle.preprocess, bundle.input))
    calibration.save(
        calibration.Calibration(
            made_by=shlex.join(["python", "-m", "model.export.calibrate", *sys.argv[1:]]),
            method="mean over the photos of each photo's lowest and highest value",
            photos=len(collection.files),
            photos_sha256=collection.sha256(),
            ranges=mean_ranges(extremes),
        ),
        output,
    )
    print(f"{output} holds the ranges of {len(extremes)} tensors")


def fp32_bundle(models: Path, name: str) -> Path:
    """Return the folder of a network's float bundle.

    Raises:
        SystemExit: there is none.
    """
    folder = models / f"{name}-fp32"
    if not (folder / "model.json").is_file():
        msg = f"{models} holds no bundle {folder.name}"
        raise SystemExit(msg)
    return folder


def rounded_tensors(model: onnx.ModelProto) -> list[str]:
    """Return what int8 rounds: the first convolution's input, and each convolution's and addition's result.

    Where a ReLU or ReLU6 (Clip) follows, its result stands for theirs.
    """
    relus = {node.input[0]: node.output[0] for node in model.graph.node if node.op_type in {"Relu", "Clip"}}
    results = [node.output[0] for node in model.graph.node if node.op_type in {"Conv", "Add"}]
    return [CENTRED, *(relus.get(name, name) for name in results)]


def observe(
    model: onnx.ModelProto, pixels: NDArray[np.uint8], tensors: Sequence[str] | None = None
) -> dict[str, NDArray[np.float32]]:
    """Return the lowest and highest value of each of ``tensors`` in each picture, float32 (N, 2), by name.

    They have four dimensions. Without them it is those that int8 rounds.
    """
    tensors = rounded_tensors(model) if tensors is None else tensors
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    names = [f"{tensor}_{end}" for tensor in tensors for end in ("Min", "Max")]
    for tensor in tensors:
        for end in ("Min", "Max"):
            probe = helper.make_node(f"Reduce{end}", [tensor], [f"{tensor}_{end}"], axes=[1, 2, 3], keepdims=0)
            probed.graph.node.append(probe)
    probed.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in names)
    session = open_graph(probed.SerializeToString(), num_threads=usable_cpus())
    batches = [
        np.stack(session.run(names, {INPUT: pixels[start : start + BATCH]}), axis=1)
        for start in range(0, len(pixels), BATCH)
    ]
    values = np.concatenate(batches).reshape(len(pixels), len(tensors), 2)
    return {tensor: values[:, index] for index, tensor in enumerate(tensors)}


def mean_ranges(extremes: dict[str, NDArray[np.float32]]) -> dict[str, tuple[float, float]]:
    """Average the pictures' extremes to one range a tensor."""
    return {tensor: (float(values[:, 0].mean()), float(values[:, 1].mean())) for tensor, values in extremes.items()}


if __name__ == "__main__":
    main()

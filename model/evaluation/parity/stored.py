"""`python -m model.evaluation.parity.stored --photos DIR`: our graph beside the original's stored answers."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.bundle import load_bundle
from model.evaluation.parity import pixels
from model.export.resnet50.network import RESNET50
from model.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FILE = Path(__file__).parents[1] / "tests" / "data" / "parity.npz"


@dataclass(frozen=True)
class StoredAnswer:
    """What the original gave one picture: ``probabilities``, float32 (1000,), for pixels with this SHA-256."""

    name: str
    pixels_sha256: str
    probabilities: NDArray[np.float32]

    def difference(self, picture: NDArray[np.uint8], session: Session) -> float:
        """Return the largest absolute difference between ``session``'s probabilities and these."""
        return float(np.abs(session.run(picture[np.newaxis])[0] - self.probabilities).max())


def read(file: Path = FILE) -> list[StoredAnswer]:
    """Read stored answers, synthetic pictures first."""
    with np.load(file) as data:
        rows = zip(data["names"], data["pixels_sha256"], data["probabilities"], strict=True)
        return [StoredAnswer(str(name), str(sha256), probabilities) for name, sha256, probabilities in rows]


def photo_differences(photos: Path, session: Session) -> Iterator[float]:
    """Yield the difference for each stored photo that decodes to the stored pixels here.

    Another JPEG decoder may give other pixels; then there is nothing to compare.
    """
    for answer in read():
        if answer.name in pixels.SYNTHETIC:
            continue
        picture = pixels.photo(photos / answer.name, RESNET50.side)
        if pixels.fingerprint(picture) == answer.pixels_sha256:
            yield answer.difference(picture, session)


def main() -> None:
    """Print the largest difference over the photos."""
    parser = argparse.ArgumentParser(prog="python -m model.evaluation.parity.stored", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="the folder that the stored photos came from")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the bundles (default: models)")
    options = parser.parse_args()
    session = Session(load_bundle(options.models / "resnet50-fp32"))
    differences = list(photo_differences(options.photos, session))
    print(f"{len(differences)} photos, 1000 probabilities each: largest difference {max(differences):.1e}")


if __name__ == "__main__":
    main()

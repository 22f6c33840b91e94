from __future__ import annotations

import pytest

from contract.limits import DEFAULT_MAX_PIXELS
from model.bundle import load_bundle
from model.classifier import Classifier
from model.decode import Decoder
from model.evaluation import large_photos

pytestmark = pytest.mark.long


def test_large_jpegs_decoded_in_part_keep_their_labels(models, sample):
    """Decoding a phone's photo at a quarter of its size must not be seen in the answer."""
    with Decoder(DEFAULT_MAX_PIXELS) as decoder:
        classifier = Classifier(load_bundle(models / "resnet50-int8"), decoder, top_k=1)
        result = large_photos.compare(classifier, sample.files[::20])

    assert result.agreement >= 0.98
    assert result.mean_difference <= 0.02

from __future__ import annotations

from model.bundle import load_bundle
from model.classifier import Classifier
from model.export import large_photos


def test_large_jpegs_decoded_in_part_keep_their_labels(models, sample):
    """Decoding a phone's photo at a quarter of its size must not be seen in the answer."""
    result = large_photos.compare(Classifier(load_bundle(models / "resnet50-int8"), top_k=1), sample.files[::20])

    assert result.agreement >= 0.98
    assert result.mean_difference <= 0.02

"""Our graph beside the original run by TensorFlow.js; ../parity/README.md tells how the stored answers were made."""

from __future__ import annotations

import pytest

from model.bundle import load_bundle
from model.evaluation.parity import pixels, stored
from model.export.resnet50.network import RESNET50
from model.session import Session

pytestmark = pytest.mark.long


TOLERANCE = 1e-4  # largest difference of any probability


@pytest.fixture(scope="module")
def session(models):
    return Session(load_bundle(models / "resnet50-fp32"))


@pytest.mark.parametrize("kind", pixels.SYNTHETIC)
def test_a_synthetic_picture_gets_the_probabilities_that_the_original_gives(kind, session):
    """No decoder, no photo needed: this must hold on every machine."""
    picture = pixels.synthetic(kind, RESNET50.side)
    (answer,) = [answer for answer in stored.read() if answer.name == kind]

    assert pixels.fingerprint(picture) == answer.pixels_sha256
    assert answer.difference(picture, session) <= TOLERANCE


def test_photos_get_the_probabilities_that_the_original_gives(session, sample):
    """All 1000 of them, on at least 20 photos."""
    differences = list(stored.photo_differences(sample.files[0].parent, session))

    assert len(differences) >= 20, "too few photos decode to the stored pixels here"
    assert max(differences) <= TOLERANCE

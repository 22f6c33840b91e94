"""Our graph beside the original run by TensorFlow.js; ../parity/README.md tells how the stored answers were made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.bundle import load_bundle
from model.export.parity import pixels
from model.session import Session

TOLERANCE = 1e-4  # largest difference of any probability


@pytest.fixture(scope="module")
def stored():
    with np.load(Path(__file__).parent / "data" / "parity.npz") as file:
        return {
            str(name): (str(sha), row)
            for name, sha, row in zip(file["names"], file["pixels_sha256"], file["probabilities"], strict=True)
        }


@pytest.fixture(scope="module")
def session(models):
    return Session(load_bundle(models / "resnet50-reference"))


@pytest.mark.parametrize("kind", pixels.SYNTHETIC)
def test_a_synthetic_picture_gets_the_probabilities_that_the_original_gives(kind, session, stored):
    """No decoder, no photo needed: this must hold on every machine."""
    picture = pixels.synthetic(kind)
    sha256, expected = stored[kind]

    assert pixels.fingerprint(picture) == sha256
    assert np.abs(session.run(picture[np.newaxis])[0] - expected).max() <= TOLERANCE


def test_photos_get_the_probabilities_that_the_original_gives(session, sample, stored):
    """All 1000 of them, on at least 20 photos."""
    compared, worst = 0, 0.0
    for file in sample.files:
        sha256, expected = stored.get(file.name, ("", None))
        if not sha256:
            continue
        picture = pixels.photo(file)
        if pixels.fingerprint(picture) != sha256:
            continue  # another JPEG decoder: other pixels, nothing to compare
        worst = max(worst, float(np.abs(session.run(picture[np.newaxis])[0] - expected).max()))
        compared += 1

    assert compared >= 20, f"only {compared} photos decode to the stored pixels here"
    assert worst <= TOLERANCE

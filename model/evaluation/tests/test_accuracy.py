from __future__ import annotations

import pytest

from model.bundle import load_bundle
from model.evaluation import accuracy
from model.session import Session

pytestmark = pytest.mark.long


@pytest.mark.timeout(1200)  # two minutes on two cores without VNNI that have nothing else to do
def test_int8_costs_at_most_a_point_and_agrees_on_97_of_100_photos(models, sample):
    """Cross-validated: every photo is judged with ranges that it did not help to find."""
    result = accuracy.cross_validate(models / "resnet50-fp32", sample)

    assert result.top1_int8 >= result.top1_fp32 - 0.01
    assert result.agreement >= 0.97


@pytest.mark.parametrize(("name", "at_least"), [("resnet50-fp32", 0.85), ("resnet50-reference", 0.70)])
def test_most_photos_get_their_own_label(name, at_least, models, sample):
    """A wrong channel order, mean or label order would show here at once; the bounds are generous."""
    bundle = load_bundle(models / name)
    pixels = sample.pixels(bundle.preprocess, bundle.input)[::2]

    predicted = Session(bundle, num_threads=2).run(pixels).argmax(axis=1)

    assert (predicted == sample.classes[::2]).mean() >= at_least

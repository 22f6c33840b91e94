from __future__ import annotations

import pytest

from model.bundle import load_bundle
from model.evaluation import accuracy
from model.session import Session

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def compared(models, sample):
    """fp32 and int8, cross-validated: every photo is judged with ranges that it did not help to find."""
    return accuracy.cross_validate(models / "resnet50-fp32", sample)


@pytest.mark.timeout(1200)  # two minutes on two cores without VNNI that have nothing else to do
def test_int8_costs_at_most_a_point_and_agrees_on_97_of_100_photos(compared):
    assert compared.top1_int8 >= compared.top1_fp32 - 0.01
    assert compared.agreement >= 0.97


# A wrong channel order, mean or label order would show here at once; the bounds are generous.


@pytest.mark.timeout(1200)
def test_most_photos_get_their_own_label(compared):
    assert compared.top1_fp32 >= 0.85


def test_most_photos_get_their_own_label_prepared_as_the_reference_is(models, sample):
    bundle = load_bundle(models / "resnet50-reference")
    pixels = sample.pixels(bundle.preprocess, bundle.input)[::2]

    predicted = Session(bundle, num_threads=2).run(pixels).argmax(axis=1)

    assert (predicted == sample.classes[::2]).mean() >= 0.70

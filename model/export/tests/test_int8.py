from __future__ import annotations

import numpy as np
import pytest

from model.bundle import load_bundle
from model.export import calibration, evaluate, quantise
from model.session import Session


@pytest.mark.long
@pytest.mark.timeout(1200)  # two minutes on two cores without VNNI that have nothing else to do
def test_int8_costs_at_most_a_point_and_agrees_on_97_of_100_photos(models, sample):
    """Cross-validated: every photo is judged with ranges that it did not help to find."""
    result = evaluate.cross_validate(models / "resnet50-fp32", sample)

    assert result.top1_int8 >= result.top1_fp32 - 0.01
    assert result.agreement >= 0.97


@pytest.mark.parametrize(("name", "at_least"), [("resnet50-fp32", 0.85), ("resnet50-reference", 0.70)])
def test_most_photos_get_their_own_label(name, at_least, models, sample):
    """A wrong channel order, mean or label order would show here at once; the bounds are generous."""
    bundle = load_bundle(models / name)
    pixels = sample.pixels(bundle.preprocess, bundle.input)[::2]

    predicted = Session(bundle, num_threads=2).run(pixels).argmax(axis=1)

    assert (predicted == sample.classes[::2]).mean() >= at_least


def test_zero_stays_exact_when_rounded():
    """Padding is zeros, and ReLU's threshold is zero: an offset there would add up over every border."""
    for low, high in [(-1.0, 3.0), (0.0, 5.0), (0.5, 2.0), (-3.0, -1.0)]:
        scale, zero = quantise.activation_scale(low, high)

        assert 0 <= zero <= 255
        assert (np.float32(0) / scale) + zero == zero


def test_a_channel_that_batch_norm_switched_off_keeps_its_bias():
    """Its weights are so small that the bias, counted in their steps, would overflow int32."""
    kernel = np.full((1, 1, 1, 1), 1e-20, np.float32)
    bias = np.array([3.0], np.float32)

    step = quantise.weight_scale(kernel, bias, np.float32(0.1))

    counted = bias / (np.float32(0.1) * step)
    assert np.abs(counted) < 2**31
    assert counted.round() * 0.1 * step == pytest.approx(bias, rel=1e-4)


def test_a_stored_calibration_reads_back(tmp_path):
    original = calibration.Calibration("cmd", "method", 2, "0" * 64, {"a": (-1.5, 2.0), "b": (0.0, 0.125)})
    calibration.save(original, tmp_path / "calibration.json")

    assert calibration.load(tmp_path / "calibration.json") == original

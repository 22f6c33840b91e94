from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from model.export import calibrate, quantise
from model.export.efficientnet_lite2 import graph
from model.export.graph import INPUT

STAGES = (graph.Stage(1, 1), graph.Stage(2, 2))
SIDE = 18  # pixels; 9 after the stem, 5 at the end: odd sides show on which side the padding is
WIDTHS, HEAD, CLASSES = (8, 4, 6), 16, 5  # after the stem and after each stage


@pytest.fixture(scope="module")
def tiny_weights():
    """Random weights by PyTorch's names: one block with a 3x3 kernel, then two with 5x5 that widen three times."""
    rng = np.random.default_rng(5)
    weights = {}

    def conv(name: str, norm: str, outputs: int, inputs: int, side: int) -> None:
        fan_in = inputs * side * side
        weights[f"{name}.weight"] = rng.normal(0, 3 * fan_in**-0.5, (outputs, inputs, side, side)).astype(np.float32)
        for part, low, high in ("weight", 2, 6), ("bias", -1, 1), ("running_mean", -1, 1), ("running_var", 0.5, 2):
            weights[f"{norm}.{part}"] = rng.uniform(low, high, outputs).astype(np.float32)

    stem, first, second = WIDTHS
    conv("_conv_stem", "_bn0", stem, 3, 3)
    for index, (inputs, widened, outputs, side) in enumerate(
        [(stem, stem, first, 3), (first, 3 * first, second, 5), (second, 3 * second, second, 5)]
    ):
        block = f"_blocks.{index}"
        if widened != inputs:
            conv(f"{block}._expand_conv", f"{block}._bn0", widened, inputs, 1)
        conv(f"{block}._depthwise_conv", f"{block}._bn1", widened, 1, side)
        conv(f"{block}._project_conv", f"{block}._bn2", outputs, widened, 1)
    conv("_conv_head", "_bn1", HEAD, second, 1)
    # Small, so that the softmax is not all or nothing, which would hide what came before it.
    weights["_fc.weight"] = rng.normal(0, 0.1, (CLASSES, HEAD)).astype(np.float32)
    weights["_fc.bias"] = rng.normal(0, 1, CLASSES).astype(np.float32)
    return weights


def pictures(count=3):
    return np.random.default_rng(6).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def run(model, pixels):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {INPUT: pixels})[0]


def by_hand(weights, pixels):
    """The same network in NumPy, from its description: nothing folded, padding as TensorFlow's "same"."""

    def conv(x: np.ndarray, name: str, norm: str, stride: int = 1) -> np.ndarray:
        kernel = weights[f"{name}.weight"].astype(np.float64)
        groups = len(kernel) if kernel.shape[1] == 1 and x.shape[1] > 1 else 1
        side = kernel.shape[2]
        out = -(-x.shape[2] // stride)
        missing = max((out - 1) * stride + side - x.shape[2], 0)
        before, after = missing // 2, missing - missing // 2
        x = np.pad(x, ((0, 0), (0, 0), (before, after), (before, after)))
        y = np.zeros((len(x), len(kernel), out, out))
        for row in range(out):
            for column in range(out):
                patch = x[:, :, row * stride : row * stride + side, column * stride : column * stride + side]
                y[:, :, row, column] = (
                    np.einsum("nchw,ochw->no", patch, kernel)
                    if groups == 1
                    else np.einsum("nchw,chw->nc", patch, kernel[:, 0])
                )
        gamma, beta, mean, variance = (
            weights[f"{norm}.{part}"].reshape(-1, 1, 1) for part in ("weight", "bias", "running_mean", "running_var")
        )
        return np.asarray(gamma * (y - mean) / np.sqrt(variance + 1e-3) + beta)

    def relu6(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(x, 0, 6))

    x = (pixels.astype(np.float64).transpose(0, 3, 1, 2) - 127) / 128
    x = relu6(conv(x, "_conv_stem", "_bn0", 2))
    x = relu6(conv(x, "_blocks.0._depthwise_conv", "_blocks.0._bn1"))
    x = conv(x, "_blocks.0._project_conv", "_blocks.0._bn2")
    for block, stride in ("_blocks.1", 2), ("_blocks.2", 1):
        y = relu6(conv(x, f"{block}._expand_conv", f"{block}._bn0"))
        y = relu6(conv(y, f"{block}._depthwise_conv", f"{block}._bn1", stride))
        y = conv(y, f"{block}._project_conv", f"{block}._bn2")
        x = x + y if stride == 1 else y
    x = relu6(conv(x, "_conv_head", "_bn1")).mean(axis=(2, 3))
    powers = np.exp(x @ weights["_fc.weight"].T + weights["_fc.bias"])
    return powers / powers.sum(axis=1, keepdims=True)


def test_the_graph_computes_what_the_description_says(tiny_weights):
    """Strides, the side of an odd padding, folded norms, shortcuts, ReLU6: one wrong shows in every number."""
    pixels = pictures()

    scores = run(graph.build(tiny_weights, STAGES, SIDE), pixels)

    assert scores.shape == (3, CLASSES)
    assert scores == pytest.approx(by_hand(tiny_weights, pixels), abs=1e-5)


def test_every_convolution_and_addition_is_rounded_for_int8(tiny_weights):
    """What the calibration overlooks stays in float: right, slow, and without a word."""
    model = graph.build(tiny_weights, STAGES, SIDE)
    ranges = calibrate.mean_ranges(calibrate.observe(model, pictures(20)))

    rounded = quantise.quantise(model, ranges).graph

    rounding = {node.output[0] for node in rounded.node if node.op_type == "DequantizeLinear"}
    heavy = [node for node in rounded.node if node.op_type in {"Conv", "Add"}]
    assert len(heavy) == 1 + 2 + 3 + 3 + 1 + 1
    assert {name for node in heavy for name in node.input} <= rounding
    assert all(0 <= low < high <= 6 for name, (low, high) in ranges.items() if name.endswith("relu6"))


def test_equal_weights_give_equal_bytes(tiny_weights):
    """A bundle's checksum names it: two machines that build it must agree."""
    once, again = (graph.build(tiny_weights, STAGES, SIDE).SerializeToString(deterministic=True) for _ in range(2))

    assert once == again

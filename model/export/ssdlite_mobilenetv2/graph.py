"""Writes SSDLite-MobileNetV2 as ONNX, from a picture's pixels to boxes and their scores.

MobileNetV2 (https://arxiv.org/abs/1801.04381) gives six maps of ever coarser features. On each of them a depthwise and
a pointwise convolution say for a few boxes at each place, the anchors, how far an object is from them, and another pair
what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from model.export.graph import CENTRED, INPUT, Graph
from model.export.ssdlite_mobilenetv2.network import BOXES, SCORES, SIDE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[Any]]

# Pixels come as x * 2 / 255 - 1.
PIXEL_MEAN = PIXEL_SPREAD = 127.5
BATCH_NORM_EPSILON = 1e-3  # the file's own, of all its batch norms
# What the file's boxes are scaled by: offsets of centres by 10, logarithms of sides by 5.
CENTRE_SCALE, SIDE_SCALE = 10.0, 5.0

# COCO numbers its 80 classes from 1 to 90; these numbers nothing has.
COCO_NUMBERS = 90
UNUSED_NUMBERS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
USED_NUMBERS = [number for number in range(1, COCO_NUMBERS + 1) if number not in UNUSED_NUMBERS]

_BACKBONE = "FeatureExtractor/MobilenetV2"
_BLOCKS = 17
_HALVING = {1, 3, 6, 13}
# What follows the backbone: each a pointwise convolution, and a depthwise and a pointwise one that halve the map.
_EXTRAS = (
    ("layer_19_1_Conv2d_2_1x1_256", "layer_19_2_Conv2d_2_3x3_s2_512"),
    ("layer_19_1_Conv2d_3_1x1_128", "layer_19_2_Conv2d_3_3x3_s2_256"),
    ("layer_19_1_Conv2d_4_1x1_128", "layer_19_2_Conv2d_4_3x3_s2_256"),
    ("layer_19_1_Conv2d_5_1x1_64", "layer_19_2_Conv2d_5_3x3_s2_128"),
)
_FIRST_MAP_BLOCK = 13  # whose widened features are the first map


def build(weights: Weights) -> onnx.ModelProto:
    """Build the float32 model.

    Args:
        weights: arrays by their TensorFlow name (convolutions HWIO, depthwise ones HWC1).

    Returns:
        A model with input ``pixels``, uint8 (N, 300, 300, 3), RGB, and outputs ``boxes``, float32 (N, 1917, 4): top,
        left, bottom and right as fractions of the picture; and ``scores``, float32 (N, 1917, 80), 0 to 1. N is free.
        Equal weights give equal bytes.
    """
    graph = _Graph(weights)
    maps = _feature_maps(graph, graph.centred_pixels())
    encoded, scores = [], []
    for index, features in enumerate(maps):
        head = f"BoxPredictor_{index}"
        encoded.append(graph.predict(f"{head}/BoxEncodingPredictor", features, rows_of=4))
        scores.append(graph.predict(f"{head}/ClassPredictor", features, rows_of=len(USED_NUMBERS)))
    _decode_boxes(graph, graph.node("Concat", encoded, "encoded_boxes", axis=1))
    graph.node("Sigmoid", [graph.node("Concat", scores, "logits", axis=1)], SCORES)
    anchors = weights["Postprocessor/ExpandDims"].shape[1]
    return graph.model("ssdlite-mobilenetv2", SIDE, {BOXES: (anchors, 4), SCORES: (anchors, len(USED_NUMBERS))})


def _feature_maps(graph: _Graph, x: str) -> list[str]:
    x = graph.relu6(graph.conv(f"{_BACKBONE}/Conv", x, stride=2, unit=PIXEL_SPREAD))
    maps, width = [], 0
    for index in range(_BLOCKS):
        block = f"{_BACKBONE}/expanded_conv" + (f"_{index}" if index else "")
        narrow, width_before, stride = x, width, 2 if index in _HALVING else 1
        if index:  # the first block is as wide as its input
            x = graph.relu6(graph.conv(f"{block}/expand", x))
        if index == _FIRST_MAP_BLOCK:
            maps.append(x)
        x = graph.relu6(graph.depthwise(f"{block}/depthwise", x, stride=stride))
        x, width = graph.conv(f"{block}/project", x), graph.width(f"{block}/project")
        if stride == 1 and width == width_before:
            x = graph.node("Add", [x, narrow], block)
    x = graph.relu6(graph.conv(f"{_BACKBONE}/Conv_1", x))
    maps.append(x)
    for narrowing, halving in _EXTRAS:
        x = graph.relu6(graph.conv(f"{_BACKBONE}/{narrowing}", x))
        x = graph.relu6(graph.depthwise(f"{_BACKBONE}/{halving}_depthwise", x, stride=2))
        x = graph.relu6(graph.conv(f"{_BACKBONE}/{halving}", x))
        maps.append(x)
    return maps


def _decode_boxes(graph: _Graph, encoded: str) -> None:
    """From offsets to anchors (N, anchors, 4), centre and sides, y before x, to corners."""
    anchors = graph.weights["Postprocessor/ExpandDims"][0].astype(np.float64)
    sides, centres = anchors[:, 2:] - anchors[:, :2], (anchors[:, 2:] + anchors[:, :2]) / 2
    offset, logarithm = (graph.part(encoded, name, start) for name, start in (("offsets", 0), ("logarithms", 2)))
    moved = graph.node("Mul", [offset, graph.number("anchor_steps", sides / CENTRE_SCALE)], "moved")
    centre = graph.node("Add", [moved, graph.number("anchor_centres", centres)], "centres")
    scaled = graph.node("Mul", [logarithm, graph.number("side_scale", 1 / SIDE_SCALE)], "scaled_logarithms")
    grown = graph.node("Exp", [scaled], "growth")
    half = graph.node("Mul", [grown, graph.number("anchor_halves", sides / 2)], "half_sides")
    corners = [graph.node(kind, [centre, half], name) for kind, name in (("Sub", "top_left"), ("Add", "bottom_right"))]
    graph.node("Concat", corners, BOXES, axis=2)


class _Graph(Graph):
    """Of convolutions whose batch norms are folded into them, and of ReLU6."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.weights = weights
        self._six = [self.number("zero", 0.0), self.number("six", 6.0)]

    def number(self, name: str, value: NDArray[Any] | float) -> str:
        return self.constant(name, np.array(value, np.float32))

    def width(self, conv: str) -> int:
        return int(self.weights[f"{conv}/Conv2D/merged_input"].shape[3])

    def centred_pixels(self) -> str:
        x = self.node("Cast", [INPUT], "pixels_float", to=TensorProto.FLOAT)
        x = self.node("Sub", [x, self.number("pixels_mean", PIXEL_MEAN)], "pixels_nhwc")
        return self.node("Transpose", [x], CENTRED, perm=[0, 3, 1, 2])

    def relu6(self, x: str) -> str:
        return self.node("Clip", [x, *self._six], f"{x}_relu6")

    def conv(self, name: str, x: str, *, stride: int = 1, unit: float = 1.0) -> str:
        """One whose batch norm the file has folded in already; ``unit`` is what one of its inputs counts as 1."""
        kernel = self.weights[f"{name}/Conv2D/merged_input"].astype(np.float64).transpose(3, 2, 0, 1)
        return self._conv(name, x, kernel / unit, self.weights[f"{name}/BatchNorm/batchnorm/sub"], stride)

    def depthwise(self, name: str, x: str, *, stride: int) -> str:
        """A channel each; the factor of its batch norm is still beside it."""
        kernel = self.weights[f"{name}/depthwise_weights"].astype(np.float64).transpose(2, 3, 0, 1)
        factor = self.weights[f"{name}/BatchNorm/batchnorm/mul"].astype(np.float64)
        bias = self.weights[f"{name}/BatchNorm/batchnorm/sub"]
        return self._conv(name, x, kernel * factor.reshape(-1, 1, 1, 1), bias, stride, groups=len(kernel))

    def predict(self, name: str, x: str, *, rows_of: int) -> str:
        """Rows of what is predicted for the anchors of a map, (N, places x anchors a place, ``rows_of``)."""
        each, shift = fold_batch_norm(self.weights, f"{name}_depthwise")
        x = self.relu6(self._conv(f"{name}_depthwise", x, each, shift, stride=1, groups=len(each)))
        kernel, bias = self.weights[f"{name}/weights"], self.weights[f"{name}/biases"]
        if name.endswith("ClassPredictor"):
            kernel, bias = of_used_classes(kernel), of_used_classes(bias)
        x = self._conv(name, x, kernel.transpose(3, 2, 0, 1), bias, stride=1)
        x = self.node("Transpose", [x], f"{name}_nhwc", perm=[0, 2, 3, 1])
        shape = self.constant(f"{name}_shape", np.array([0, -1, rows_of], np.int64))
        return self.node("Reshape", [x, shape], f"{name}_rows")

    def part(self, x: str, name: str, start: int) -> str:
        """Two numbers of each row of ``x``, from ``start`` on."""
        first, end, axis = (
            self.constant(f"{name}_{word}", np.array([value], np.int64))
            for word, value in (("start", start), ("end", start + 2), ("axis", 2))
        )
        return self.node("Slice", [x, first, end, axis], name)

    def _conv(
        self, name: str, x: str, kernel: NDArray[Any], bias: NDArray[Any], stride: int, *, groups: int = 1
    ) -> str:
        return self.node(
            "Conv",
            [x, self.number(f"{name}_kernel", kernel), self.number(f"{name}_bias", bias)],
            name,
            kernel_shape=list(kernel.shape[2:]),
            strides=[stride, stride],
            auto_pad="SAME_UPPER",  # TensorFlow's "same": with an odd sum the right and the bottom get one more
            group=groups,
        )


def fold_batch_norm(weights: Weights, conv: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Merge a batch norm at inference, an affine map per channel, into the depthwise convolution before it.

    Returns:
        kernel, float64 (channels, 1, height, width), and bias, float64 (channels,).
    """
    gamma, beta, mean, variance = (
        weights[f"{conv}/BatchNorm/{part}"].astype(np.float64)
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    factor = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
    kernel: NDArray[np.float64] = weights[f"{conv}/depthwise_weights"].astype(np.float64).transpose(2, 3, 0, 1)
    return kernel * factor.reshape(-1, 1, 1, 1), beta - mean * factor


def of_used_classes(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Leave the background and the numbers without a class out of the last axis: it is anchors x 91 numbers."""
    numbers = values.reshape(*values.shape[:-1], -1, COCO_NUMBERS + 1)
    return numbers[..., USED_NUMBERS].reshape(*values.shape[:-1], -1)

"""ResNet-50 v1 as an ONNX graph: Keras' weights in, one float32 model out.

The graph takes pixels as a decoder leaves them (uint8, NHWC, BGR) and does the arithmetic of the
preprocessing itself, so that a caller copies bytes and computes nothing. Batch norms are folded into their
convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.float32]]

# Keras trained these weights with 1.001e-5 (keras.applications.resnet); the package's file states the
# library's default 1e-3 instead, which shows in the third decimal of the probabilities.
BATCH_NORM_EPSILON = 1.001e-5

# The means of ImageNet's training pictures, blue, green, red: "caffe" style preprocessing, without scaling.
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)

# Old enough for every runtime of the last years; quantisation per channel needs 13.
OPSET = 17
IR_VERSION = 8

INPUT, OUTPUT = "pixels", "probabilities"
CENTRED = "pixels_centred"  # the first convolution's input
FEATURES = "res5c_relu"  # the last convolutional output


@dataclass(frozen=True)
class Architecture:
    """The sizes of a ResNet v1 with bottleneck blocks; stages are counted from 2, blocks lettered from a."""

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    side: int = 224

    def layers(self) -> Iterable[tuple[int, str, bool]]:
        """Every block as (stage, letter, is it the last before a stage that halves the resolution)."""
        for index, count in enumerate(self.blocks):
            for block in range(count):
                halves_next = block == count - 1 and index < len(self.blocks) - 1
                yield index + 2, chr(ord("a") + block), halves_next


RESNET50 = Architecture()


def build(weights: Weights, architecture: Architecture = RESNET50, *, early_stride: bool = True) -> onnx.ModelProto:
    """Build the float32 model.

    Args:
        weights: arrays by Keras name.
        architecture: the number of blocks; widths come with the weights.
        early_stride: ResNet v1 halves the resolution in the first 1x1 convolutions of stages 3 to 5, so three
            quarters of what the block before computes last is thrown away. True halves it already in that
            block (3x3 convolution with stride 2, shortcut through a 1x1 max-pool with stride 2): the same
            values bit for bit, for 10% less arithmetic. False gives the network as published.

    Returns:
        A model with input ``pixels``, uint8 (N, side, side, 3), BGR, and output ``probabilities``, float32
        (N, classes), N free. Equal weights give equal bytes.
    """
    graph = _Graph(weights)
    graph.node("Cast", [INPUT], "pixels_float", to=TensorProto.FLOAT)
    graph.node("Transpose", ["pixels_float"], "pixels_nchw", perm=[0, 3, 1, 2])
    mean = np.array(CAFFE_MEAN_BGR, np.float32).reshape(1, 3, 1, 1)
    graph.node("Sub", ["pixels_nchw", graph.constant("pixels_mean", mean)], CENTRED)

    x = graph.relu(graph.conv("conv1", "bn_conv1", CENTRED, stride=2, pad=3))
    x = graph.node("MaxPool", [x], "pool1", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for stage, letter, halves_next in architecture.layers():
        first = letter == "a"
        late = 2 if first and stage > 2 and not early_stride else 1  # noqa: PLR2004  stage 2 keeps the resolution
        early = 2 if halves_next and early_stride else 1
        x = _block(graph, f"{stage}{letter}", x, project=first, late=late, early=early)

    x = graph.node("GlobalAveragePool", [x], "avg_pool")
    x = graph.node("Flatten", [x], "features", axis=1)
    kernel, bias = weights["fc1000/kernel"], weights["fc1000/bias"]
    dense = [x, graph.constant("fc1000_kernel", kernel), graph.constant("fc1000_bias", bias)]
    x = graph.node("Gemm", dense, "fc1000")
    graph.node("Softmax", [x], OUTPUT, axis=1)
    return graph.model(architecture.side, classes=len(bias))


def _block(graph: _Graph, name: str, x: str, *, project: bool, late: int, early: int) -> str:
    """One bottleneck: 1x1, 3x3, 1x1 and the shortcut beside them.

    ``late`` strides the first 1x1 convolution (as published), ``early`` the 3x3 (on the next block's behalf).
    """
    res, bn = f"res{name}_branch", f"bn{name}_branch"
    shortcut = x
    if project:
        shortcut = graph.conv(f"{res}1", f"{bn}1", x, stride=late * early)
    elif early > 1:
        shortcut = graph.node("MaxPool", [x], f"res{name}_shortcut", kernel_shape=[1, 1], strides=[early, early])
    x = graph.relu(graph.conv(f"{res}2a", f"{bn}2a", x, stride=late))
    x = graph.relu(graph.conv(f"{res}2b", f"{bn}2b", x, stride=early, pad=1))
    x = graph.conv(f"{res}2c", f"{bn}2c", x)
    return graph.relu(graph.node("Add", [x, shortcut], f"res{name}"))


class _Graph:
    """Nodes and constants in the order in which they are added. A tensor carries its node's name."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: NDArray[np.float32]) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def conv(self, name: str, norm: str, x: str, *, stride: int = 1, pad: int = 0) -> str:
        kernel, bias = fold_batch_norm(self._weights, name, norm)
        inputs = [x, self.constant(f"{name}_kernel", kernel), self.constant(f"{name}_bias", bias)]
        shape = list(kernel.shape[2:])
        return self.node("Conv", inputs, name, kernel_shape=shape, strides=[stride] * 2, pads=[pad] * 4)

    def relu(self, x: str) -> str:
        return self.node("Relu", [x], f"{x}_relu")

    def model(self, side: int, classes: int) -> onnx.ModelProto:
        pixels = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", side, side, 3])
        probabilities = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", classes])
        graph = helper.make_graph(self._nodes, "resnet50", [pixels], [probabilities], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model


def fold_batch_norm(weights: Weights, conv: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Merge a batch norm at inference, an affine map per channel, into the convolution before it.

    Returns:
        kernel, float32 (out, in, height, width), and bias, float32 (out,). Computed in float64, so that folding
        costs one rounding and no more.
    """
    gamma, beta, mean, variance = (
        weights[f"{norm}/{part}"].astype(np.float64) for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    factor = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
    kernel = weights[f"{conv}/kernel"].astype(np.float64) * factor  # HWIO: the last axis is the output channel
    bias = (weights[f"{conv}/bias"] - mean) * factor + beta
    return kernel.transpose(3, 2, 0, 1).astype(np.float32), bias.astype(np.float32)

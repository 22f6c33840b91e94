"""Writes EfficientNet-Lite0 as ONNX: mobile inverted bottlenecks without squeeze-and-excitation, with ReLU6."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# These names are those by which calibration and evaluation find the input and its centred form.
from model.export.graph import CENTRED, INPUT, IR_VERSION, OPSET, OUTPUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Stage:
    """Blocks that follow each other; the first may halve the resolution and has no shortcut."""

    blocks: int
    stride: int


# The stages, and what follows, as the network's authors published it (tensorflow/tpu,
# models/official/efficientnet/lite/efficientnet_lite_builder.py). The PyTorch package's own description shows other
# means; with these more photos get their label.
LITE0 = (Stage(1, 1), Stage(2, 2), Stage(2, 2), Stage(3, 2), Stage(3, 1), Stage(4, 2), Stage(1, 1))
SIDE = 224  # pixels
PIXEL_MEAN, PIXEL_SPREAD = 127.0, 128.0
BATCH_NORM_EPSILON = 1e-3


def build(weights: Weights, stages: tuple[Stage, ...] = LITE0, side: int = SIDE) -> onnx.ModelProto:
    """Build the float32 model.

    Args:
        weights: arrays by their PyTorch name, as in ``_blocks.0._depthwise_conv.weight`` (convolutions OIHW).
        stages: how many blocks; their widths and kernels come with the weights.
        side: of the input, in pixels.

    Returns:
        A model with input ``pixels``, uint8 (N, side, side, 3), RGB, and output ``probabilities``, float32
        (N, classes), N free. Equal weights give equal bytes.
    """
    graph = _Graph(weights)
    x = graph.node("Cast", [INPUT], "pixels_float", to=TensorProto.FLOAT)
    x = graph.node("Sub", [x, graph.constant("pixels_mean", PIXEL_MEAN)], "pixels_nhwc")
    x = graph.node("Transpose", [x], CENTRED, perm=[0, 3, 1, 2])
    x = graph.relu6(graph.conv("_conv_stem", "_bn0", x, stride=2, unit=PIXEL_SPREAD))
    strides = [stage.stride if index == 0 else None for stage in stages for index in range(stage.blocks)]
    for index, stride in enumerate(strides):
        x = _block(graph, f"_blocks.{index}", x, stride)
    x = graph.relu6(graph.conv("_conv_head", "_bn1", x))
    x = graph.node("GlobalAveragePool", [x], "pool")
    x = graph.node("Flatten", [x], "features", axis=1)
    dense = [graph.constant(name, weights[name]) for name in ("_fc.weight", "_fc.bias")]
    x = graph.node("Gemm", [x, *dense], "_fc", transB=1)
    graph.node("Softmax", [x], OUTPUT, axis=1)
    return graph.model(side, classes=len(weights["_fc.bias"]))


def _block(graph: _Graph, name: str, x: str, stride: int | None) -> str:
    """Widen, look at the neighbours channel by channel, narrow again.

    ``stride`` is that of a stage's first block; the others have none, and a shortcut around them.
    """
    shortcut = x
    if graph.knows(f"{name}._expand_conv"):  # the network's first block is as wide as its input
        x = graph.relu6(graph.conv(f"{name}._expand_conv", f"{name}._bn0", x))
    x = graph.relu6(graph.conv(f"{name}._depthwise_conv", f"{name}._bn1", x, stride=stride or 1))
    x = graph.conv(f"{name}._project_conv", f"{name}._bn2", x)
    return x if stride else graph.node("Add", [x, shortcut], name)


class _Graph:
    """Nodes and constants in the order in which they are added. A tensor carries its node's name."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._six = [self.constant("zero", 0.0), self.constant("six", 6.0)]

    def knows(self, conv: str) -> bool:
        return f"{conv}.weight" in self._weights

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: NDArray[Any] | float) -> str:
        self._constants.append(numpy_helper.from_array(np.array(value, np.float32, order="C"), name))
        return name

    def conv(self, name: str, norm: str, x: str, *, stride: int = 1, unit: float = 1.0) -> str:
        """Add a convolution with its batch norm; ``unit`` is what one of its inputs counts as 1."""
        kernel, bias = fold_batch_norm(self._weights, name, norm)
        outputs, inputs, *sides = kernel.shape
        return self.node(
            "Conv",
            [x, self.constant(f"{name}_kernel", kernel / unit), self.constant(f"{name}_bias", bias)],
            name,
            kernel_shape=sides,
            strides=[stride, stride],
            auto_pad="SAME_UPPER",  # TensorFlow's "same": with an odd sum the right and the bottom get one more
            group=outputs if inputs == 1 else 1,
        )

    def relu6(self, x: str) -> str:
        return self.node("Clip", [x, *self._six], f"{x}_relu6")

    def model(self, side: int, classes: int) -> onnx.ModelProto:
        pixels = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", side, side, 3])
        probabilities = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", classes])
        graph = helper.make_graph(self._nodes, "efficientnet-lite0", [pixels], [probabilities], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model


def fold_batch_norm(weights: Weights, conv: str, norm: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Merge a batch norm at inference, an affine map per channel, into the convolution before it.

    Returns:
        kernel, float64 (out, in, height, width), and bias, float64 (out,).
    """
    gamma, beta, mean, variance = (
        weights[f"{norm}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
    kernel: NDArray[np.float64] = weights[f"{conv}.weight"] * factor.reshape(-1, 1, 1, 1)
    return kernel, beta - mean * factor

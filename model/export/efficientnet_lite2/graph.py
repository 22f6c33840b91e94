"""Writes EfficientNet-Lite2 as ONNX: mobile inverted bottlenecks without squeeze-and-excitation, with ReLU6."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from model.export.efficientnet_lite2.network import SIDE
from model.export.graph import CENTRED, INPUT, OUTPUT, Graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Stage:
    """Blocks that follow each other; the first may halve the resolution and has no shortcut."""

    blocks: int
    stride: int


# The stages, of which all but the first and the last are a fifth longer than those of Lite0, and what follows, as the
# network's authors published it (tensorflow/tpu, models/official/efficientnet/lite/efficientnet_lite_builder.py). The
# PyTorch package's own description shows other means; with these more photos get their label.
LITE2 = (Stage(1, 1), Stage(3, 2), Stage(3, 2), Stage(4, 2), Stage(4, 1), Stage(5, 2), Stage(1, 1))
PIXEL_MEAN, PIXEL_SPREAD = 127.0, 128.0
BATCH_NORM_EPSILON = 1e-3


def build(weights: Weights, stages: tuple[Stage, ...] = LITE2, side: int = SIDE) -> onnx.ModelProto:
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
    x = graph.node("Sub", [x, graph.number("pixels_mean", PIXEL_MEAN)], "pixels_nhwc")
    x = graph.node("Transpose", [x], CENTRED, perm=[0, 3, 1, 2])
    x = graph.relu6(graph.conv("_conv_stem", "_bn0", x, stride=2, unit=PIXEL_SPREAD))
    strides = [stage.stride if index == 0 else None for stage in stages for index in range(stage.blocks)]
    for index, stride in enumerate(strides):
        x = _block(graph, f"_blocks.{index}", x, stride)
    x = graph.relu6(graph.conv("_conv_head", "_bn1", x))
    x = graph.node("GlobalAveragePool", [x], "pool")
    x = graph.node("Flatten", [x], "features", axis=1)
    dense = [graph.number(name, weights[name]) for name in ("_fc.weight", "_fc.bias")]
    x = graph.node("Gemm", [x, *dense], "_fc", transB=1)
    graph.node("Softmax", [x], OUTPUT, axis=1)
    return graph.model("efficientnet-lite2", side, {OUTPUT: (len(weights["_fc.bias"]),)})


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


class _Graph(Graph):
    """Of convolutions whose batch norms are folded into them, and of ReLU6."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self._weights = weights
        self._six = [self.number("zero", 0.0), self.number("six", 6.0)]

    def knows(self, conv: str) -> bool:
        return f"{conv}.weight" in self._weights

    def number(self, name: str, value: NDArray[Any] | float) -> str:
        return self.constant(name, np.array(value, np.float32))

    def conv(self, name: str, norm: str, x: str, *, stride: int = 1, unit: float = 1.0) -> str:
        """Add a convolution with its batch norm; ``unit`` is what one of its inputs counts as 1."""
        kernel, bias = fold_batch_norm(self._weights, name, norm)
        outputs, inputs, *sides = kernel.shape
        return self.node(
            "Conv",
            [x, self.number(f"{name}_kernel", kernel / unit), self.number(f"{name}_bias", bias)],
            name,
            kernel_shape=sides,
            strides=[stride, stride],
            auto_pad="SAME_UPPER",  # TensorFlow's "same": with an odd sum the right and the bottom get one more
            group=outputs if inputs == 1 else 1,
        )

    def relu6(self, x: str) -> str:
        return self.node("Clip", [x, *self._six], f"{x}_relu6")


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

"""ResNet-50 v1 as an ONNX graph: Keras' weights in, one float32 model out.

The graph takes pixels as a decoder leaves them (uint8, NHWC, BGR) and does the arithmetic of the
preprocessing itself, so that a caller copies bytes and computes nothing. Batch norms are folded into their
convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from model.export.graph import CENTRED, INPUT, OUTPUT, Graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import onnx
    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.float32]]

# Keras trained these weights with 1.001e-5 (keras.applications.resnet); the package's file states the
# library's default 1e-3 instead, which shows in the third decimal of the probabilities.
BATCH_NORM_EPSILON = 1.001e-5

# The means of ImageNet's training pictures, blue, green, red: "caffe" style preprocessing, without scaling.
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class Architecture:
    """The sizes of a ResNet v1 with bottleneck blocks; stages are counted from 2, blocks lettered from a."""

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    side: int = 224

    @property
    def last_stage(self) -> int:
        return len(self.blocks) + 1

    def layers(self) -> Iterable[tuple[int, str, bool]]:
        """Every block as (stage, letter, is it the last before a stage that halves the resolution)."""
        for index, count in enumerate(self.blocks):
            for block in range(count):
                halves_next = block == count - 1 and index < len(self.blocks) - 1
                yield index + 2, chr(ord("a") + block), halves_next


SIZES = Architecture()


def build(
    weights: Weights, architecture: Architecture = SIZES, *, early_stride: bool = True, for_int8: bool = False
) -> onnx.ModelProto:
    """Build the float32 model.

    Args:
        weights: arrays by Keras name.
        architecture: the number of blocks; widths come with the weights.
        early_stride: ResNet v1 halves the resolution in the first 1x1 convolutions of stages 3 to 5, so three
            quarters of what the block before computes last is thrown away. True halves it already in that
            block (3x3 convolution with stride 2, shortcut through a 1x1 max-pool with stride 2): the same
            values bit for bit, for 10% less arithmetic. False gives the network as published.
        for_int8: lay the work out as ONNX Runtime's int8 kernels are quick at it (`_blocked_stem`, `_Rows`): once
            quantised the answers are the same bit for bit. In float32 it would only cost time.

    Returns:
        A model with input ``pixels``, uint8 (N, side, side, 3), BGR, and output ``probabilities``, float32
        (N, classes), N free. Equal weights give equal bytes.
    """
    graph = _Graph(weights)
    side = architecture.side
    x = graph.relu(_blocked_stem(graph, side) if for_int8 else _stem(graph, side))
    x = graph.node("MaxPool", [x], "pool1", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    rows = None
    for stage, letter, halves_next in architecture.layers():
        first = letter == "a"
        if first and for_int8 and early_stride and stage == architecture.last_stage:
            rows = _Rows(graph, side >> stage)
            x = rows.join(x)
        late = 2 if first and stage > 2 and not early_stride else 1  # noqa: PLR2004  stage 2 keeps the resolution
        early = 2 if halves_next and early_stride else 1
        x = _block(graph, f"{stage}{letter}", x, project=first, late=late, early=early, rows=rows)

    x = graph.node("GlobalAveragePool", [rows.part(x) if rows else x], "avg_pool")
    x = graph.node("Flatten", [x], "features", axis=1)
    kernel, bias = weights["fc1000/kernel"], weights["fc1000/bias"]
    dense = [x, graph.constant("fc1000_kernel", kernel), graph.constant("fc1000_bias", bias)]
    x = graph.node("Gemm", dense, "fc1000")
    graph.node("Softmax", [x], OUTPUT, axis=1)
    return graph.model("resnet50", side, {OUTPUT: (len(bias),)})


def _stem(graph: _Graph, side: int) -> str:
    _centred(graph, INPUT, side, channels=3)
    return graph.conv("conv1", "bn_conv1", CENTRED, stride=2, pad=3)


def _blocked_stem(graph: _Graph, side: int) -> str:
    """The first convolution on squares of 2x2 pixels: 4x4 with stride 1 on 12 channels for 7x7 with stride 2 on 3.

    The kernel gets a row and a column of zeros in front. ONNX Runtime's quick kernel for x86 wants the channels in
    fours (MLAS, `MlasConvSymPackWSize`); with three it copies every window and multiplies at half the speed.
    """
    half = side // 2
    pairs = graph.reshape(INPUT, "pixels_pairs", [0, half, 2, half, 6])  # two rows, two pixels beside each other
    rows = [
        graph.node("Gather", [pairs, graph.constant(f"row_{row}", np.array(row))], f"pixels_row_{row}", axis=2)
        for row in (0, 1)
    ]
    _centred(graph, graph.node("Concat", rows, "pixels_blocks", axis=3), half, channels=12)
    kernel, bias = graph.folded("conv1", "bn_conv1")
    return graph.convolve("conv1", blocked(kernel), bias, CENTRED, pads=[2, 2, 1, 1])


def blocked(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """(out, 3, 7, 7) to be used with padding 3 → (out, 12, 4, 4); a square's channels are row, column, colour."""
    padded = np.pad(kernel, ((0, 0), (0, 0), (1, 0), (1, 0)))
    squares = padded.reshape(-1, 3, 4, 2, 4, 2).transpose(0, 3, 5, 1, 2, 4)
    return squares.reshape(-1, 12, 4, 4)


def _centred(graph: _Graph, pixels: str, side: int, channels: int) -> None:
    """uint8 (N, side, side, channels), colour running fastest → ``CENTRED``, float32 (N, channels, side, side).

    Whole rows are subtracted: with three means at a time ONNX Runtime takes twenty times as long.
    """
    mean = np.tile(np.array(CAFFE_MEAN_BGR, np.float32), side * channels // 3)
    x = graph.node("Cast", [pixels], "pixels_float", to=TensorProto.FLOAT)
    x = graph.reshape(x, "pixels_rows", [0, side, side * channels])
    x = graph.node("Sub", [x, graph.constant("pixels_mean", mean)], "pixels_rows_centred")
    x = graph.reshape(x, "pixels_nhwc", [0, side, side, channels])
    graph.node("Transpose", [x], CENTRED, perm=[0, 3, 1, 2])


class _Rows:
    """The pictures of a batch as one tall picture, for all but the 3x3 convolutions, which look at neighbours.

    ONNX Runtime's kernel computes six outputs of a picture at a time; the last stage has 7x7 = 8 * 6 + 1 of them.
    """

    def __init__(self, graph: _Graph, side: int) -> None:
        self._graph = graph
        self._side = side

    def join(self, x: str) -> str:
        """(N, channels, side, side) → (1, channels, N * side, side)."""
        return self._moved(x, "joined", [1, -1, 0, 0])

    def part(self, x: str) -> str:
        """Undo ``join``."""
        return self._moved(x, "parted", [-1, self._side, 0, 0])

    def _moved(self, x: str, how: str, shape: list[int]) -> str:
        nhwc = self._graph.node("Transpose", [x], f"{x}_nhwc", perm=[0, 2, 3, 1])
        moved = self._graph.reshape(nhwc, f"{x}_{how}_nhwc", shape)
        return self._graph.node("Transpose", [moved], f"{x}_{how}", perm=[0, 3, 1, 2])


def _block(graph: _Graph, name: str, x: str, *, project: bool, late: int, early: int, rows: _Rows | None) -> str:
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
    x = rows.part(x) if rows else x
    x = graph.relu(graph.conv(f"{res}2b", f"{bn}2b", x, stride=early, pad=1))
    x = rows.join(x) if rows else x
    x = graph.conv(f"{res}2c", f"{bn}2c", x)
    return graph.relu(graph.node("Add", [x, shortcut], f"res{name}"))


class _Graph(Graph):
    """Of convolutions whose batch norms are folded into them."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self._weights = weights

    def reshape(self, x: str, name: str, shape: list[int]) -> str:
        return self.node("Reshape", [x, self.constant(f"{name}_shape", np.array(shape))], name)

    def conv(self, name: str, norm: str, x: str, *, stride: int = 1, pad: int = 0) -> str:
        kernel, bias = self.folded(name, norm)
        return self.convolve(name, kernel, bias, x, stride=stride, pads=[pad] * 4)

    def folded(self, name: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return fold_batch_norm(self._weights, name, norm)

    def convolve(
        self,
        name: str,
        kernel: NDArray[np.float32],
        bias: NDArray[np.float32],
        x: str,
        *,
        pads: list[int],
        stride: int = 1,
    ) -> str:
        inputs = [x, self.constant(f"{name}_kernel", kernel), self.constant(f"{name}_bias", bias)]
        shape = list(kernel.shape[2:])
        return self.node("Conv", inputs, name, kernel_shape=shape, strides=[stride] * 2, pads=pads)

    def relu(self, x: str) -> str:
        return self.node("Relu", [x], f"{x}_relu")


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

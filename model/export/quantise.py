"""Float32 model → int8 model: static, per channel, unsigned activations and signed weights (U8S8), QDQ form.

Every quantised value is written as the pair QuantizeLinear, DequantizeLinear around the plain operator. A runtime
with int8 kernels fuses such a group into one integer operator; any other computes the same in float. What is
quantised follows from the calibration: the tensors that it gives a range. That is everything from the first
convolution to the last one; the pool and the classifier behind it cost nothing and stay in float, because
a softmax over rounded scores ties.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

UINT8_LEVELS, INT8_MAX = 255, 127
_MOVES = {"Transpose", "Reshape"}  # move values and change none: done on the bytes
_INT32_SAFE = 2**30  # biases stay below this, which leaves the accumulator its head-room


def quantise(model: onnx.ModelProto, ranges: Mapping[str, tuple[float, float]]) -> onnx.ModelProto:
    """Quantise every convolution, addition and max-pool of ``model`` whose tensors ``ranges`` knows.

    Args:
        model: the float32 model; left as it is.
        ranges: lowest and highest value by tensor name. A range is widened to hold 0, which must be exact for
            padding and for ReLU. A ReLU's own range starts at 0, so the rounding does its work and the
            node goes. What a max-pool, a transposition or a reshape gives keeps its input's scale.
    """
    return _Quantiser(model, ranges).run()


def activation_scale(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Return the scale and zero point that spread 0 to 255 over ``low`` to ``high``, with 0.0 exact."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / UINT8_LEVELS)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, UINT8_LEVELS))


class _Quantiser:
    def __init__(self, model: onnx.ModelProto, ranges: Mapping[str, tuple[float, float]]) -> None:
        self._model = model
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._nodes: list[onnx.NodeProto] = []
        self._new: dict[str, onnx.TensorProto] = {}
        self._scales: dict[str, tuple[str, str, np.float32]] = {}  # tensor → names of scale and zero, scale
        self._alias: dict[str, str] = {}  # tensor of the float model → the one that stands for it
        self._ranges = ranges

    def run(self) -> onnx.ModelProto:
        for node in self._model.graph.node:
            self._convert(node)
        graph = self._model.graph
        used = {output.name for output in graph.output}
        nodes: list[onnx.NodeProto] = []
        for node in reversed(self._nodes):  # a moved tensor is needed as bytes, but perhaps not dequantised as well
            if used.intersection(node.output):
                used.update(node.input)
                nodes.insert(0, node)
        constants = [tensor for name, tensor in (self._constants | self._new).items() if name in used]
        quantised = helper.make_graph(nodes, graph.name, graph.input, graph.output, constants)
        model = helper.make_model(quantised, opset_imports=self._model.opset_import, ir_version=self._model.ir_version)
        onnx.checker.check_model(model)
        return model

    def _convert(self, node: onnx.NodeProto) -> None:
        source, output = node.input[0], node.output[0]
        inputs = [self._alias.get(name, name) for name in node.input]
        if node.op_type == "Relu" and output in self._ranges:
            # Unsigned with zero point 0: clamping below 0 is what rounding does anyway. The producer's
            # result goes straight into this tensor's rounding.
            self._alias[output] = self._round(inputs[0], output, self._scale_of(output))
            return
        if node.op_type in _MOVES and source in self._scales:
            scale = self._scales[output] = self._scales[source]
            self._copy(node, [f"{source}_uint8", *inputs[1:]], f"{output}_uint8")
            self._alias[output] = self._add("DequantizeLinear", [f"{output}_uint8", *scale[:2]], f"{output}_rounded")
            return
        if node.op_type == "Conv" and source in self._scales:
            inputs[1:] = self._round_kernel(node.input[1], node.input[2], self._scales[source][2])
        self._copy(node, inputs, output)
        if node.op_type == "MaxPool" and source in self._scales:
            self._alias[output] = self._round(output, output, self._scales[source])
        elif output in self._ranges:
            self._alias[output] = self._round(output, output, self._scale_of(output))

    def _copy(self, node: onnx.NodeProto, inputs: list[str], output: str) -> None:
        self._nodes.append(helper.make_node(node.op_type, inputs, [output], name=node.name))
        self._nodes[-1].attribute.extend(node.attribute)

    def _scale_of(self, tensor: str) -> tuple[str, str, np.float32]:
        scale, zero = activation_scale(*self._ranges[tensor])
        return self._constant(f"{tensor}_scale", scale), self._constant(f"{tensor}_zero", zero), scale

    def _round(self, source: str, name: str, scale: tuple[str, str, np.float32]) -> str:
        """Add the pair that rounds ``source`` to 8 bits; returns the rounded tensor."""
        self._scales[name] = scale
        self._add("QuantizeLinear", [source, *scale[:2]], f"{name}_uint8")
        return self._add("DequantizeLinear", [f"{name}_uint8", *scale[:2]], f"{name}_rounded")

    def _round_kernel(self, kernel_name: str, bias_name: str, input_scale: np.float32) -> list[str]:
        kernel = numpy_helper.to_array(self._constants[kernel_name])
        bias = numpy_helper.to_array(self._constants[bias_name])
        scale = weight_scale(kernel, bias, input_scale)
        per_channel = scale.reshape(-1, 1, 1, 1)
        rounded = np.clip(np.rint(kernel / per_channel), -INT8_MAX, INT8_MAX).astype(np.int8)
        bias_scale = (input_scale * scale).astype(np.float32)
        rounded_bias = np.rint(bias.astype(np.float64) / bias_scale).astype(np.int32)
        return [
            self._dequantised(kernel_name, rounded, scale),
            self._dequantised(bias_name, rounded_bias, bias_scale),
        ]

    def _dequantised(self, name: str, value: NDArray[np.int8 | np.int32], scale: NDArray[np.float32]) -> str:
        zeros = np.zeros(len(scale), value.dtype)
        inputs = [
            self._constant(f"{name}_{value.dtype}", value),
            self._constant(f"{name}_scale", scale),
            self._constant(f"{name}_zero", zeros),
        ]
        return self._add("DequantizeLinear", inputs, f"{name}_rounded", axis=0)

    def _add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def _constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        self._new[name] = numpy_helper.from_array(np.asarray(value), name)
        return name


def weight_scale(
    kernel: NDArray[np.float32], bias: NDArray[np.float32], input_scale: np.float32
) -> NDArray[np.float32]:
    """Return the step of each output channel's weights: its largest weight is 127 steps.

    A channel that batch norm has all but switched off would get a step so small that its bias, counted in
    steps, leaves int32; there the bias sets the step.
    """
    largest = np.abs(kernel).max(axis=(1, 2, 3)) / INT8_MAX
    for_bias = np.abs(bias) / (input_scale * _INT32_SAFE)
    scale: NDArray[np.float32] = np.maximum(np.maximum(largest, for_bias), np.finfo(np.float32).tiny).astype(np.float32)
    return scale

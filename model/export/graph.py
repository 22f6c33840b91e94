"""What the graphs of all networks have in common: their names, and how one is put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

# Old enough for every runtime of the last years; quantisation per channel needs 13.
OPSET = 17
IR_VERSION = 8

# By these, calibration and evaluation find the input and its centred form in any network.
INPUT, OUTPUT = "pixels", "probabilities"
CENTRED = "pixels_centred"  # the first convolution's input


class Graph:
    """Nodes and constants in the order in which they are added. A tensor carries its node's name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: NDArray[np.float32 | np.int64]) -> str:
        self._constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def model(self, name: str, side: int, outputs: Mapping[str, Sequence[int]]) -> onnx.ModelProto:
        """Return all that was added, from ``INPUT``, uint8 (N, side, side, 3), to float32 ``outputs``.

        Args:
            outputs: their shapes by name, without N, which is free.
        """
        pixels = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", side, side, 3])
        given = [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", *shape]) for output, shape in outputs.items()
        ]
        graph = helper.make_graph(self._nodes, name, [pixels], given, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from model.onnx_runtime import open_graph

CHANNELS = 64
LARGEST_SUM = 255 * 127 * CHANNELS


def largest_int8_sum():
    """A 1x1 convolution of the largest bytes with the largest weights, in the form that int8 bundles have."""
    one = np.float32(1)
    constants = {
        "one": one,
        "step": np.float32(LARGEST_SUM / 255),
        "zero": np.uint8(0),
        "kernel": np.full((1, CHANNELS, 1, 1), 127, np.int8),
        "ones": np.ones(1, np.float32),
        "zeros": np.zeros(1, np.int8),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["bytes", "one", "zero"], ["values"]),
        helper.make_node("DequantizeLinear", ["kernel", "ones", "zeros"], ["weights"], axis=0),
        helper.make_node("Conv", ["values", "weights"], ["sum"]),
        helper.make_node("QuantizeLinear", ["sum", "step", "zero"], ["sum_bytes"]),
        helper.make_node("DequantizeLinear", ["sum_bytes", "step", "zero"], ["rounded"]),
    ]
    graph = helper.make_graph(
        nodes,
        "largest sum",
        [helper.make_tensor_value_info("bytes", TensorProto.UINT8, ["N", CHANNELS, 8, 8])],
        [helper.make_tensor_value_info("rounded", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def test_the_largest_sum_of_int8_products_is_exact_on_every_cpu():
    """x86 without VNNI adds them in 16 bits, where two of the largest are already too many."""
    pixels = np.full((1, CHANNELS, 8, 8), 255, np.uint8)

    (total,) = open_graph(largest_int8_sum(), num_threads=1).run(None, {"bytes": pixels})

    assert total == pytest.approx(np.full((1, 1, 8, 8), LARGEST_SUM, np.float32))

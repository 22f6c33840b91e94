"""Tiny networks for tests: they say which of red, green and blue a picture has most of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ("red", "green", "blue")
SIDE = 32  # pixels

UINT8_CARD: dict[str, Any] = {
    "schema": 1,
    "name": "colours",
    "precision": "fp32",
    "input": {"name": "pixels", "dtype": "uint8", "layout": "NHWC", "width": SIDE, "height": SIDE},
    "preprocess": {
        "resize": "crop",
        "shorter_side": 40,
        "interpolation": "linear",
        "colour": "rgb",
        "exif_orientation": True,
    },
    "output": {"name": "probabilities", "kind": "probabilities"},
    "classes": 3,
}


def write_uint8_network(path: Path, *, factor: float = 1 / 255) -> None:
    """Input ``pixels`` uint8 (N, 32, 32, 3); output ``probabilities`` (N, 3): each channel's mean, times factor."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["mean", "factor"], ["probabilities"]),
    ]
    _write(
        path,
        nodes,
        helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", SIDE, SIDE, 3]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3]),
        factor=np.float32(factor),
    )


def write_float_network(path: Path, *, batch: int | str = "N", factor: float = 1) -> None:
    """Input ``data`` float32 (batch, 3, 32, 32); output ``scores`` (batch, 3): each channel's mean, times factor."""
    nodes = [
        helper.make_node("ReduceMean", ["data"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "factor"], ["scores"]),
    ]
    _write(
        path,
        nodes,
        helper.make_tensor_value_info("data", TensorProto.FLOAT, [batch, 3, SIDE, SIDE]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, 3]),
        factor=np.float32(factor),
    )


def _write(
    path: Path,
    nodes: list[onnx.NodeProto],
    given: onnx.ValueInfoProto,
    result: onnx.ValueInfoProto,
    *,
    factor: np.float32,
) -> None:
    constants = [numpy_helper.from_array(np.array(factor), "factor")]
    graph = helper.make_graph(nodes, "colours", [given], [result], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)

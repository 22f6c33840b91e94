"""Tiny networks for tests: they say which of red, green and blue a picture has most of."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model.bundle import LABELS as LABELS_FILE
from model.bundle import MANIFEST, MODEL

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ("red", "green", "blue")
SIDE = 32  # pixels

UINT8_MANIFEST: dict[str, Any] = {
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


def write_bundle(path: Path, **changes: Any) -> Path:
    """A bundle of the first of them; ``preprocess={...}`` and the like change fields of its manifest."""
    path.mkdir(parents=True)
    write_uint8_network(path / MODEL)
    (path / LABELS_FILE).write_text("\n".join(LABELS) + "\n")
    manifest = copy.deepcopy(UINT8_MANIFEST)
    for field, value in changes.items():
        if isinstance(value, dict) and isinstance(manifest.get(field), dict):
            manifest[field].update(value)
        else:
            manifest[field] = value
    (path / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return path


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
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3]),
        numpy_helper.from_array(np.array(factor, np.float32), "factor"),
        ir_version=8,
    )


def write_float_network(
    path: Path,
    *,
    batch: int | str = "N",
    side: int = SIDE,
    classes: int = 3,
    factor: float = 1,
    output: str = "scores",
    softmax: bool = False,
) -> None:
    """Input ``data`` float32 (batch, 3, side, side); output (batch, classes): each channel's mean, times factor.

    With ``softmax`` that of these means.

    Classes beyond the third get 0. The constants are among the graph's inputs, as in the ONNX Model Zoo's older
    files (IR version 3).
    """
    nodes = [
        helper.make_node("ReduceMean", ["data"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits" if softmax else output]),
        *([helper.make_node("Softmax", ["logits"], [output])] if softmax else []),
    ]
    _write(
        path,
        nodes,
        [
            helper.make_tensor_value_info("data", TensorProto.FLOAT, [batch, 3, side, side]),
            helper.make_tensor_value_info("weights", TensorProto.FLOAT, [3, classes]),
        ],
        helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, classes]),
        numpy_helper.from_array(np.eye(3, classes, dtype=np.float32) * np.float32(factor), "weights"),
        ir_version=3,
    )


def _write(
    path: Path,
    nodes: list[onnx.NodeProto],
    given: list[onnx.ValueInfoProto],
    result: onnx.ValueInfoProto,
    constant: onnx.TensorProto,
    *,
    ir_version: int,
) -> None:
    graph = helper.make_graph(nodes, "colours", given, [result], [constant])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=ir_version), path)

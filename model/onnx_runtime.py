"""ONNX Runtime's door: open a model file, and say what goes in and comes out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read while it is loaded; a self-hosted service calls nobody

import onnxruntime as ort

from model.cpu import has_fast_int8
from model.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ERRORS_ONLY = 3  # ONNX Runtime's severities: 0 verbose, 1 info, 2 warning, 3 error, 4 fatal

ort.set_default_logger_severity(_ERRORS_ONLY)


class Tensor(NamedTuple):
    """An input or output of a graph; a dimension without a fixed size is a name or None."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} {list(self.shape)}"


def open_graph(source: Path | bytes, *, num_threads: int, optimise: bool = True) -> ort.InferenceSession:
    """Load an ONNX model for the CPU.

    Args:
        source: the ``.onnx`` file, or what would be in it.
        num_threads: threads that share one operator's work.
        optimise: False for a quick look at the inputs and outputs.

    Raises:
        BundleError: ONNX Runtime can't load it.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = (
        ort.GraphOptimizationLevel.ORT_ENABLE_ALL if optimise else ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    )
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # an idle worker leaves the CPU alone
    if not has_fast_int8():
        options.add_session_config_entry("session.x64quantprecision", "1")  # exact sums; would turn VNNI off
    try:
        model = source if isinstance(source, bytes) else str(source)
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no other base class
        name = "the model" if isinstance(source, bytes) else source.name
        raise BundleError(f"{name}: ONNX Runtime can't load it: {error}") from error


def inputs_of(session: ort.InferenceSession) -> Sequence[Tensor]:
    return [_tensor(node) for node in session.get_inputs()]


def outputs_of(session: ort.InferenceSession) -> Sequence[Tensor]:
    return [_tensor(node) for node in session.get_outputs()]


def _tensor(node: ort.NodeArg) -> Tensor:
    dtype = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}.get(node.type, node.type)
    return Tensor(node.name, dtype, tuple(node.shape))

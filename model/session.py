"""The ONNX Runtime session of one bundle: batches in, probabilities out. No image code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.errors import BundleError, ModelError
from model.onnx_runtime import Tensor, inputs_of, open_graph, outputs_of
from model.warm_up import are_probabilities, may_be_probabilities, warm_up_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from model.bundle import Bundle


class Session:
    """A loaded network that was found to be what the bundle's manifest says.

    Args:
        bundle: the model.
        num_threads: threads that share one operator's work. One per worker for throughput, more for latency.

    Raises:
        BundleError: the file can't be loaded, or its input or output is not the manifest's.
    """

    def __init__(self, bundle: Bundle, num_threads: int = 1) -> None:
        self._session = open_graph(bundle.model_path, num_threads=num_threads)
        self._bundle = bundle
        self._one_by_one = _check_input(inputs_of(self._session), bundle)
        _check_output(outputs_of(self._session), bundle)

    def warm_up(self) -> NDArray[np.float32]:
        """Run the network on inputs of no picture, and hold its output against the manifest.

        Returns:
            What the network itself gives, as ``scores``.

        Raises:
            BundleError: the output is of another kind than the manifest says.
            ModelError: as ``run``.
        """
        scores = np.concatenate([self.scores(batch) for batch in warm_up_inputs(self._bundle.input)])
        self._check_kind(scores)
        return scores

    def run(self, batch: NDArray[np.float32 | np.uint8]) -> NDArray[np.float32]:
        """Classify preprocessed pictures.

        Args:
            batch: shape (N, height, width, 3) or (N, 3, height, width) and dtype as the manifest states; N may be 0.

        Returns:
            Probabilities, float32, shape (N, classes).

        Raises:
            ModelError: the network's answer has another shape, or values that are not finite.
        """
        values = self.scores(batch)
        return softmax(values) if self._bundle.output_kind == "logits" and len(values) else values

    def scores(self, batch: NDArray[np.float32 | np.uint8]) -> NDArray[np.float32]:
        """As ``run``, but what the network itself gives, of whichever kind its output is."""
        steps = [batch[i : i + 1] for i in range(len(batch))] if self._one_by_one else [batch]
        scores = [self._step(step) for step in steps if len(step)]
        if not scores:
            return np.empty((0, len(self._bundle.labels)), np.float32)
        return np.concatenate(scores)

    def _check_kind(self, scores: NDArray[np.float32]) -> None:
        model, stated = self._bundle.model_path.name, self._bundle.output_kind
        if stated == "logits" and are_probabilities(scores):
            raise BundleError(
                f"{model}: its output is probabilities already (no value is below 0, and each row sums to 1), but "
                'the manifest says logits: write "kind": "probabilities", or the softmax is applied twice'
            )
        if stated == "probabilities" and not may_be_probabilities(scores):
            raise BundleError(
                f"{model}: its output has values from {scores.min():.3g} to {scores.max():.3g}, which are no "
                'probabilities, but the manifest says so: write "kind": "logits"'
            )

    def _step(self, batch: NDArray[np.float32 | np.uint8]) -> NDArray[np.float32]:
        (scores,) = self._session.run([self._bundle.output_name], {self._bundle.input.name: batch})
        expected = (len(batch), len(self._bundle.labels))
        if scores.shape != expected:
            raise ModelError(f"the network's answer has shape {scores.shape}, but the manifest says {expected}")
        if not np.isfinite(scores).all():
            raise ModelError("the network's answer holds values that are not finite")
        return scores  # type: ignore[no-any-return]  # ONNX Runtime is untyped


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over the last axis; the largest logit is taken off first, so that none overflows."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]  # NumPy's sum


def _check_input(inputs: Sequence[Tensor], bundle: Bundle) -> bool:
    """Returns whether the network takes one picture at a time, because its batch size is fixed at 1."""
    spec = bundle.input
    sides = (spec.height, spec.width)
    expected = (1, *sides, 3) if spec.layout == "NHWC" else (1, 3, *sides)
    if [tensor.name for tensor in inputs] != [spec.name] or inputs[0].dtype != spec.dtype:
        raise BundleError(
            f"{bundle.model_path.name}: its inputs are {'; '.join(map(str, inputs))}, "
            f"but the manifest says {spec.name} {spec.dtype}"
        )
    batch = inputs[0].shape[0] if inputs[0].shape else None
    if isinstance(batch, int) and batch != 1:
        raise BundleError(
            f"{bundle.model_path.name}: it takes batches of exactly {batch} pictures: export it with a dynamic batch, "
            "or with one of 1 (docs/bring-your-own-model.md)"
        )
    if not _fits(inputs[0], expected):
        raise BundleError(
            f"{bundle.model_path.name}: its input is {inputs[0]}, "
            f"but the manifest says {spec.layout} with height {spec.height} and width {spec.width}"
        )
    return batch == 1


def _check_output(outputs: Sequence[Tensor], bundle: Bundle) -> None:
    found = {tensor.name: tensor for tensor in outputs}.get(bundle.output_name)
    if found is None:
        raise BundleError(
            f"{bundle.model_path.name}: its outputs are {'; '.join(map(str, outputs))}, "
            f"but the manifest says {bundle.output_name}"
        )
    if found.dtype != "float32" or not _fits(found, (1, len(bundle.labels))):
        raise BundleError(
            f"{bundle.model_path.name}: its output is {found}, but the manifest says float32 with "
            f"{len(bundle.labels)} classes"
        )


def _fits(tensor: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether every dimension that the graph fixes is that of ``shape``."""
    return len(tensor.shape) == len(shape) and all(
        have == want for have, want in zip(tensor.shape, shape, strict=True) if isinstance(have, int)
    )

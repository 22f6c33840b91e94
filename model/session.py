"""The session of one classifier's bundle: batches in, probabilities out. No image code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.errors import BundleError, ModelError
from model.manifest import OutputSpec
from model.network import PICTURES, Network
from model.warm_up import are_probabilities, may_be_probabilities, warm_up_inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from model.bundle import Bundle
    from model.network import Step


class Session:
    """A loaded network that was found to be what the bundle's manifest says.

    Args:
        bundle: the model.
        num_threads: threads that share one operator's work. One per worker for throughput, more for latency.

    Raises:
        BundleError: the file can't be loaded, or its input or output is not the manifest's.
    """

    def __init__(self, bundle: Bundle, num_threads: int = 1) -> None:
        if not isinstance(bundle.output, OutputSpec):
            raise BundleError(f"{bundle.model} is no classifier")
        self._network = Network(bundle, num_threads)
        self._input, self._output, self._classes = bundle.input, bundle.output, len(bundle.labels)
        self._network.check_output(bundle.output.name, [(PICTURES, self._classes)], f"{self._classes} classes")

    def warm_up(self) -> NDArray[np.float32]:
        """Run the network on inputs of no picture, and hold its output against the manifest.

        Returns:
            What the network itself gives, as ``scores``.

        Raises:
            BundleError: the output is of another kind than the manifest says.
            ModelError: as ``run``.
        """
        scores = np.concatenate([self.scores(batch) for batch in warm_up_inputs(self._input)])
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
        return softmax(values) if self._output.kind == "logits" and len(values) else values

    def scores(self, batch: NDArray[np.float32 | np.uint8]) -> NDArray[np.float32]:
        """As ``run``, but what the network itself gives, of whichever kind its output is."""
        empty = np.empty((0, self._classes), np.float32)
        return np.concatenate([empty, *map(self._scores, self._network.steps([self._output.name], batch))])

    def _check_kind(self, scores: NDArray[np.float32]) -> None:
        model, stated = self._network.file, self._output.kind
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

    def _scores(self, step: Step) -> NDArray[np.float32]:
        (scores,) = step.outputs
        expected = (step.pictures, self._classes)
        if scores.shape != expected:
            raise ModelError(f"the network's answer has shape {scores.shape}, but the manifest says {expected}")
        if not np.isfinite(scores).all():
            raise ModelError("the network's answer holds values that are not finite")
        return scores


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over the last axis; the largest logit is taken off first, so that none overflows."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]  # NumPy's sum

"""What a network is fed before it serves: nobody's pictures, but enough to see what its answers are like.

An input of zeros would tell nothing apart: a network without biases answers it with zeros. Noise makes logits of both
signs, and a row of logits that happens to be at least 0 and to sum to 1 for every one of them is not to be expected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from model.manifest import InputSpec

NOISY = 3
NEARLY_ONE = 0.01  # what float16 and 8 bits make of a sum of 1,000 probabilities


def warm_up_inputs(spec: InputSpec) -> Iterator[NDArray[np.float32 | np.uint8]]:
    """Batches of one, always the same ones, as the network takes them: zeros, and noise about as large as pixels are.

    One at a time: four of the largest that a manifest may ask for would not fit a worker's memory.
    """
    sides = (spec.height, spec.width)
    shape = (1, *sides, 3) if spec.layout == "NHWC" else (1, 3, *sides)
    noise = np.random.default_rng(0)
    yield np.zeros(shape, spec.dtype)
    for _ in range(NOISY):
        if spec.dtype == "uint8":
            yield noise.integers(0, 256, shape, np.uint8)
        else:
            yield noise.standard_normal(shape, np.float32)


def are_probabilities(scores: NDArray[np.float32]) -> bool:
    """Whether these rows, shape (N, classes), are what a softmax gives: none below 0, and each sums to 1.

    Of one class only, a sum says nothing.
    """
    return bool(scores.shape[1] > 1 and scores.min() >= 0 and (abs(scores.sum(axis=1) - 1) < NEARLY_ONE).all())


def may_be_probabilities(scores: NDArray[np.float32]) -> bool:
    """Whether all of them are from 0 to 1; of classes that don't exclude each other they need not sum to 1."""
    return bool(scores.min() >= -NEARLY_ONE and scores.max() <= 1 + NEARLY_ONE)

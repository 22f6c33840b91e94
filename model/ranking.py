"""Probabilities → the best labels. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contract.messages import Label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def top_k(probabilities: NDArray[np.float32], labels: Sequence[str], k: int) -> list[tuple[Label, ...]]:
    """The ``k`` most probable labels of each picture, best first; of equals, the lower class index first.

    Args:
        probabilities: shape (N, classes).
        labels: one per class.
        k: at least 1; more than there are classes gives them all.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    scores = np.take_along_axis(probabilities, order, axis=1)
    return [
        tuple(Label(labels[index], score, index) for index, score in zip(row, best, strict=True))
        for row, best in zip(order.tolist(), scores.tolist(), strict=True)
    ]

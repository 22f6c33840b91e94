"""Boxes in a network's input → objects in the picture that it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contract.messages import Box, DetectedObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model.detection.candidates import Candidates
    from model.preprocess import Window


def objects_in(found: Candidates, window: Window, labels: Sequence[str]) -> list[DetectedObject]:
    """The objects, in order, with their boxes cut off at the picture's edges.

    What lies beside the picture, in bars, or has no area left, is no object.

    Args:
        window: what the network's input shows of the picture.
        labels: one per class.
    """
    corner, sides = np.array([window.left, window.top] * 2), np.array([window.width, window.height] * 2)
    boxes = np.clip(corner + found.boxes * sides, 0, [*window.size] * 2)
    there = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    scores, classes = found.scores[there].tolist(), found.classes[there].tolist()
    return [
        DetectedObject(labels[index], score, index, Box(*box))
        for box, score, index in zip(boxes[there].tolist(), scores, classes, strict=True)
    ]

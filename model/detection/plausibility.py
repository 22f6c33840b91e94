"""Whether boxes and scores of noise can be what the manifest says they are: otherwise every answer would be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.errors import BundleError
from model.warm_up import may_be_probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from model.detection.spec import DetectionSpec

NEARLY_ALL = 0.95  # of a network's boxes, by which it is seen what they are
LARGEST_FRACTION = 4.0  # in fractions of the input boxes reach no further
SMALLEST_PIXELS = 2.0  # and in pixels not all are that small


def check_scores(scores: NDArray[np.float32], file: str) -> None:
    """Hold scores of rows, (n,), all finite, against what scores are.

    Raises:
        BundleError: they are not from 0 to 1.
    """
    if len(scores) and not may_be_probabilities(scores):
        raise BundleError(
            f"{file}: its scores are from {scores.min():.3g} to {scores.max():.3g}, and so no probabilities: end the "
            "network with a sigmoid, or see whether its rows are what the manifest says"
        )


def check_boxes(boxes: NDArray[np.float32], spec: DetectionSpec, file: str) -> None:
    """Hold rows' boxes, (n, 4), all finite, against the manifest. Those of zeros stand for nothing, and don't count.

    Raises:
        BundleError: they are in other units, or of another kind.
    """
    boxes = boxes[boxes.any(axis=1)]
    if not len(boxes):
        return
    reach = float(np.quantile(np.abs(boxes).max(axis=1), NEARLY_ALL))
    if spec.units == "normalised" and reach > LARGEST_FRACTION:
        raise BundleError(f'{file}: its boxes reach to {reach:.3g}, as pixels do: write "units": "pixels"')
    if spec.units == "pixels" and reach < SMALLEST_PIXELS:
        raise BundleError(f'{file}: its boxes reach to {reach:.3g}, as fractions do: write "units": "normalised"')
    sides = boxes[:, 2:] if spec.box == "xywh" else boxes[:, 2:] - boxes[:, :2]
    if (sides < 0).any(axis=1).mean() > 1 - NEARLY_ALL:
        other = "of another kind" if spec.box == "xywh" else 'centre, width and height, "box": "xywh"'
        raise BundleError(f'{file}: its boxes have sides below 0 if they are "box": "{spec.box}": they may be {other}')

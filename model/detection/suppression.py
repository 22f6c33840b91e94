"""Of boxes of one class that overlap, the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.opencv import cv2

if TYPE_CHECKING:
    from model.detection.candidates import Candidates


def suppress(found: Candidates, iou: float) -> Candidates:
    """Leave out each box that overlaps a better one of its class by more than ``iou``, intersection over union."""
    if not len(found.scores):
        return found
    # OpenCV tells classes apart by moving their boxes away from each other, by the largest coordinate.
    corners = found.boxes.astype(np.float64) - found.boxes.min()
    sides = np.maximum(corners[:, 2:] - corners[:, :2], 0)
    boxes = np.concatenate([corners[:, :2], sides], axis=1)
    scores, classes = found.scores.tolist(), found.classes.tolist()
    kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores, classes, 0.0, iou)
    return found.only(np.asarray(kept, np.int64))

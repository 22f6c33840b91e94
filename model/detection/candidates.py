"""A detector's outputs → boxes with a class and a score, whatever the form of the outputs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from model.detection.spec import BOX_NUMBERS, EndToEndSpec, SsdSpec, YoloSpec
from model.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from model.detection.spec import DetectionSpec
    from model.manifest import InputSpec

    Floats = NDArray[np.float32]

MOST_CANDIDATES = 1000  # of a picture, the best: what overlaps is compared in pairs
OUTERMOST = 16.0  # inputs beyond the input's edge; no box that means anything reaches so far


class Rows(NamedTuple):
    """What the outputs say of one picture, row by row, with nothing left out.

    Attributes:
        boxes: float32 (n, 4), as the network gives them.
        scores: float32 (n,), of the class.
        classes: (n,), whole numbers that may be float32.
    """

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64 | np.float32]

    @property
    def finite(self) -> NDArray[np.bool_]:
        """Which rows have no number that is not finite; bool (n,)."""
        finite: NDArray[np.bool_] = np.isfinite(self.boxes).all(axis=1) & np.isfinite(self.scores)
        return finite & np.isfinite(self.classes)


class Candidates(NamedTuple):
    """Boxes of one picture, best first.

    Attributes:
        boxes: float32 (n, 4): left, top, right and bottom, as fractions of the network's input, beyond which they may
            reach.
        scores: float32 (n,), 0 to 1.
        classes: int64 (n,), indices of labels.
    """

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64]

    def only(self, kept: NDArray[np.int64 | np.bool_]) -> Candidates:
        return Candidates(self.boxes[kept], self.scores[kept], self.classes[kept])


def read_rows(outputs: Sequence[Floats], spec: DetectionSpec, pictures: int) -> list[Rows]:
    """The rows of each of a batch's ``pictures``, in order; a box is of the class that it gives the best score.

    Args:
        outputs: float32, those that ``spec`` names, in its order and of its shapes.
    """
    match spec:
        case SsdSpec():
            boxes, scores = outputs
            return _best_classes(
                boxes.reshape(pictures, -1, BOX_NUMBERS), scores[..., 1:] if spec.background else scores
            )
        case YoloSpec():
            table = outputs[0].transpose(0, 2, 1) if spec.transposed else outputs[0]
            boxes, scores = table[..., :BOX_NUMBERS], table[..., BOX_NUMBERS:]
            return _best_classes(boxes, scores[..., 1:] * scores[..., :1] if spec.objectness else scores)
        case EndToEndSpec():
            return _end_to_end(outputs[0], spec, pictures)


def choose(rows: Rows, spec: DetectionSpec, target: InputSpec, classes: int) -> Candidates:
    """The best ``MOST_CANDIDATES`` rows of a picture that reach the spec's ``min_score``.

    Rows with a number that is not finite are left out.

    Args:
        target: the network's input, whose pixels boxes may be in.
        classes: how many labels there are.

    Raises:
        ModelError: there are rows, and none of them is finite, or one is of a class without a label.
    """
    finite = rows.finite
    if len(finite) and not finite.any():
        raise ModelError("the network's answer holds no row of finite values")
    chosen = np.flatnonzero(finite & (rows.scores >= spec.min_score))
    if len(chosen) > MOST_CANDIDATES:
        chosen = chosen[np.argpartition(-rows.scores[chosen], MOST_CANDIDATES)[:MOST_CANDIDATES]]
    chosen = chosen[np.argsort(-rows.scores[chosen], kind="stable")]
    indices = np.rint(rows.classes[chosen]).astype(np.int64)
    if len(indices) and not 0 <= indices.min() <= indices.max() < classes:
        named = f"{indices.min()} to {indices.max()}"
        raise ModelError(f"the network names classes from {named}, and there are labels for 0 to {classes - 1}")
    return Candidates(_corners(rows.boxes[chosen], spec, target), np.clip(rows.scores[chosen], 0, 1), indices)


def _best_classes(boxes: Floats, scores: Floats) -> list[Rows]:
    """Of boxes (N, n, 4) and scores (N, n, classes)."""
    classes = scores.argmax(axis=-1)
    best = np.take_along_axis(scores, classes[..., np.newaxis], axis=-1)[..., 0]
    return [Rows(*rows) for rows in zip(boxes, best, classes, strict=True)]


def _end_to_end(table: Floats, spec: EndToEndSpec, pictures: int) -> list[Rows]:
    places = spec.places
    if "picture" in places:
        rows = table.reshape(-1, spec.row_length)
        each = [rows[rows[:, places["picture"].start] == index] for index in range(pictures)]
    else:
        each = list(table.reshape(pictures, -1, spec.row_length))
    return [
        Rows(rows[:, places["box"]], rows[:, places["score"].start], rows[:, places["class"].start]) for rows in each
    ]


def _corners(boxes: Floats, spec: DetectionSpec, target: InputSpec) -> Floats:
    """Left, top, right and bottom, as fractions of the input."""
    match spec.box:
        case "xyxy":
            corners = boxes
        case "yxyx":
            corners = boxes[:, [1, 0, 3, 2]]
        case "xywh":
            half = boxes[:, 2:] * np.float32(0.5)
            corners = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    if spec.units == "pixels":
        corners = (corners / ([target.width, target.height] * 2)).astype(np.float32)
    return np.clip(corners, -OUTERMOST, OUTERMOST)

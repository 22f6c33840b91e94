"""The manifest's ``detection``: what a detector's outputs mean, and which of its boxes are answers."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from contract.messages import MOST_OBJECTS
from model.manifest_fields import Record, Share

BOX_NUMBERS = 4


class _Detection(Record):
    """What all forms have in common.

    Attributes:
        box: what a box's four numbers are: two corners, x or y first, or the centre (x, y), width and height.
        units: whether they are fractions of the network's input, or its pixels.
        min_score: objects below it are no answer, whoever asks.
        max_objects: of one picture, the best.
    """

    box: Literal["xyxy", "yxyx", "xywh"]
    units: Literal["normalised", "pixels"]
    min_score: Share
    max_objects: Annotated[int, Field(ge=1, le=MOST_OBJECTS)] = 100


class SsdOutputs(Record):
    """The outputs' names in the graph: boxes (N, rows, 4), or (N, rows, 1, 4), and scores (N, rows, classes)."""

    boxes: str
    scores: str


class SsdSpec(_Detection):
    """Boxes, and a score for each class beside each.

    Attributes:
        background: whether the first score is that nothing is there, for which there is no label.
        iou: of two objects of one class that overlap more than this, intersection over union, the better one is kept.
    """

    form: Literal["ssd"]
    outputs: SsdOutputs
    background: bool
    iou: Share


class YoloSpec(_Detection):
    """One tensor of rows that begin with a box.

    Attributes:
        output: its name in the graph.
        objectness: whether a score that anything is there follows the box, by which the classes' are multiplied
            (YOLOv5, YOLOX); otherwise the classes' follow (YOLOv8).
        transposed: whether rows are columns, (N, numbers, rows), as of YOLOv8.
        iou: as of ``SsdSpec``.
    """

    form: Literal["yolo"]
    output: str
    objectness: bool
    transposed: bool
    iou: Share


Column = Literal["picture", "box", "score", "class"]


def _each_once(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    counted = Counter(columns)
    of_picture = counted.pop("picture", 0)
    if counted != Counter(["box", "score", "class"]) or of_picture > 1 or (of_picture and columns[0] != "picture"):
        raise ValueError("has 'box', 'score' and 'class', each once and in the order of a row, and may begin 'picture'")
    return columns


class EndToEndSpec(_Detection):
    """One tensor of what is left after the network's own suppression of overlapping boxes, a row an object.

    Attributes:
        output: its name in the graph: (N, rows, 6) or, of networks that take one picture at a time, (rows, 6). Rows
            that say of which picture of the batch they are have 7 numbers, (rows, 7) or (1, 1, rows, 7).
        columns: what a row's numbers are, in order; ``box`` stands for four.
    """

    form: Literal["end2end"]
    output: str
    columns: Annotated[tuple[Column, ...], Field(strict=False), AfterValidator(_each_once)]

    @property
    def places(self) -> dict[Column, slice]:
        """Where in a row each of them is."""
        widths = [BOX_NUMBERS if column == "box" else 1 for column in self.columns]
        ends = list(accumulate(widths))
        return {column: slice(end - width, end) for column, width, end in zip(self.columns, widths, ends, strict=True)}

    @property
    def row_length(self) -> int:
        """How many numbers a row has."""
        return len(self.columns) - 1 + BOX_NUMBERS


DetectionSpec = SsdSpec | YoloSpec | EndToEndSpec
"""Told apart by ``form``."""

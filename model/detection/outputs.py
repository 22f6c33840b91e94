"""Which outputs a detector's network has by its manifest, and of which shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.detection.spec import BOX_NUMBERS, EndToEndSpec, SsdSpec, YoloSpec
from model.network import PICTURES

if TYPE_CHECKING:
    from model.detection.spec import DetectionSpec
    from model.network import Shape


@dataclass(frozen=True, slots=True)
class Output:
    """One output: its name, the shapes that it may have, and what the manifest says of it, for messages."""

    name: str
    shapes: tuple[Shape, ...]
    meaning: str


def outputs_of(spec: DetectionSpec, classes: int, *, one_by_one: bool) -> tuple[Output, ...]:
    """The outputs, in the order in which ``read_rows`` takes them.

    Args:
        classes: how many labels there are.
        one_by_one: whether the network takes one picture at a time.
    """
    match spec:
        case SsdSpec():
            return _of_ssd(spec, classes)
        case YoloSpec():
            return (_of_yolo(spec, classes),)
        case EndToEndSpec():
            return (_of_end_to_end(spec, one_by_one=one_by_one),)


def _of_ssd(spec: SsdSpec, classes: int) -> tuple[Output, ...]:
    scores = classes + spec.background
    each = f"scores of {classes} classes{' and the background' if spec.background else ''}"
    boxes = (PICTURES, None, BOX_NUMBERS), (PICTURES, None, 1, BOX_NUMBERS)
    return (
        Output(spec.outputs.boxes, boxes, "boxes, (N, rows, 4) or (N, rows, 1, 4)"),
        Output(spec.outputs.scores, ((PICTURES, None, scores),), f"{each}, (N, rows, {scores})"),
    )


def _of_yolo(spec: YoloSpec, classes: int) -> Output:
    width = BOX_NUMBERS + spec.objectness + classes
    row = f"a box, {'its objectness ' if spec.objectness else ''}and scores of {classes} classes in each row"
    if spec.transposed:
        return Output(spec.output, ((PICTURES, width, None),), f"{row}, (N, {width}, rows)")
    return Output(spec.output, ((PICTURES, None, width),), f"{row}, (N, rows, {width})")


def _of_end_to_end(spec: EndToEndSpec, *, one_by_one: bool) -> Output:
    width, row = spec.row_length, f"{', '.join(spec.columns)} in each row"
    if "picture" in spec.columns:
        return Output(spec.output, ((None, width), (1, 1, None, width)), f"{row}, (rows, {width})")
    shapes: list[Shape] = [(PICTURES, None, width)]
    if one_by_one:
        shapes.append((None, width))
    return Output(spec.output, tuple(shapes), f"{row}, (N, rows, {width})")

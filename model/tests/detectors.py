"""Tiny detectors for tests: they find the red in a picture, whatever the form of their outputs.

And one that finds the red, the green and the blue: a part of three objects.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model.bundle import LABELS as LABELS_FILE
from model.bundle import MANIFEST, MODEL

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ("blue", "red")
COLOURS = ("red", "green", "blue")  # of ``write_colours_bundle``
SIDE = 64  # pixels
SCORE = 0.75  # of the red; 0 where there is none

SQUASH: dict[str, Any] = {"resize": "squash", "interpolation": "linear", "colour": "rgb"}
LETTERBOX: dict[str, Any] = {"resize": "letterbox", "padding": 114, "interpolation": "linear", "colour": "rgb"}
CROP: dict[str, Any] = {"resize": "crop", "shorter_side": 72, "interpolation": "linear", "colour": "rgb"}

_COMMON: dict[str, Any] = {"box": "xyxy", "units": "pixels", "min_score": 0.1}
FORMS: dict[str, dict[str, Any]] = {
    "ssd": _COMMON
    | {"form": "ssd", "outputs": {"boxes": "boxes", "scores": "scores"}, "background": False, "iou": 0.5},
    "ssd with a background": _COMMON
    | {"form": "ssd", "outputs": {"boxes": "boxes", "scores": "scores"}, "background": True, "iou": 0.5},
    "yolo v5": _COMMON | {"form": "yolo", "output": "rows", "objectness": True, "transposed": False, "iou": 0.5},
    "yolo v8": _COMMON | {"form": "yolo", "output": "rows", "objectness": False, "transposed": True, "iou": 0.5},
    "end2end": _COMMON | {"form": "end2end", "output": "rows", "columns": ["box", "score", "class"]},
    "end2end of a batch": _COMMON
    | {"form": "end2end", "output": "rows", "columns": ["picture", "box", "class", "score"]},
}


def write_bundle(
    path: Path, form: str = "ssd", *, batch: int | str = "N", preprocess: dict[str, Any] = SQUASH, **changes: Any
) -> Path:
    """A bundle of a detector of one of the ``FORMS``, whose manifest's ``detection`` has these ``changes``."""
    detection = FORMS[form] | changes
    path.mkdir(parents=True)
    write_network(path / MODEL, detection, batch=batch)
    (path / LABELS_FILE).write_text("\n".join(LABELS) + "\n")
    manifest = {
        "name": "reds",
        "task": "detection",
        "input": {"name": "pixels", "dtype": "uint8", "layout": "NHWC", "width": SIDE, "height": SIDE},
        "preprocess": preprocess,
        "detection": detection,
        "classes": len(LABELS),
    }
    (path / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return path


def write_colours_bundle(path: Path, labels: tuple[str, ...] = COLOURS, **changes: Any) -> Path:
    """A bundle of a detector of each of the ``COLOURS``, whose manifest's ``detection`` has these ``changes``."""
    write_bundle(path, "ssd", **changes)
    network = _Network()
    boxes, scores = [], []
    for channel in range(3):
        network.see(channel)
        boxes.append(network.node("Unsqueeze", [network.boxes("xyxy", "pixels"), network.constant([1], np.int64)]))
        scores.append(network.score())
    nothing = network.node("Sub", [scores[0], scores[0]])
    rows = [
        network.row([score if column == row else nothing for column in range(3)]) for row, score in enumerate(scores)
    ]
    network.node("Concat", boxes, "boxes", axis=1)
    stacked = [network.node("Unsqueeze", [row, network.constant([1], np.int64)]) for row in rows]
    network.node("Concat", stacked, "scores", axis=1)
    network.save(path / MODEL, "N", {"boxes": ["N", 3, 4], "scores": ["N", 3, 3]})
    (path / LABELS_FILE).write_text("\n".join(labels) + "\n")
    change_manifest(path, name="colours", classes=3)
    return path


def change_manifest(path: Path, **fields: Any) -> None:
    """Set fields of a bundle's manifest."""
    manifest = json.loads((path / MANIFEST).read_text()) | fields
    (path / MANIFEST).write_text(json.dumps(manifest))


def write_network(path: Path, detection: dict[str, Any], *, batch: int | str = "N") -> None:
    """Input ``pixels`` uint8 (batch, 64, 64, 3); outputs as ``detection`` says, with one row a picture."""
    network = _Network()
    boxes = network.boxes(detection["box"], detection["units"])  # (N, 4)
    score = network.score()  # (N, 1)
    nothing = network.node("Sub", [score, score])
    if detection["form"] == "ssd":
        columns = [nothing, nothing, score] if detection["background"] else [nothing, score]
        shapes = {"boxes": [batch, 1, 4], "scores": [batch, 1, len(columns)]}
        network.node("Unsqueeze", [boxes, network.constant([1], np.int64)], "boxes")
        network.node("Unsqueeze", [network.row(columns), network.constant([1], np.int64)], "scores")
    elif detection["form"] == "yolo":
        certain = network.node("Add", [nothing, network.constant(1.0)])
        columns = [boxes, *([certain] if detection["objectness"] else []), nothing, score]
        axis, width = 2 if detection["transposed"] else 1, 3 + len(columns)
        shapes = {"rows": [batch, width, 1] if detection["transposed"] else [batch, 1, width]}
        network.node("Unsqueeze", [network.row(columns), network.constant([axis], np.int64)], "rows")
    else:
        index = network.node("Add", [nothing, network.constant(1.0)])
        parts = {"box": boxes, "score": score, "class": index, "picture": network.numbers()}
        columns = [parts[column] for column in detection["columns"]]
        if "picture" in detection["columns"]:
            shapes = {"rows": ["rows", 7]}
            network.node("Concat", columns, "rows", axis=1)
        else:
            shapes = {"rows": [batch, 1, 6]}
            network.node("Unsqueeze", [network.row(columns), network.constant([1], np.int64)], "rows")
    network.save(path, batch, shapes)


class _Network:
    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        pixels = self.node("Cast", ["pixels"], to=TensorProto.FLOAT)
        self._channels = [self._part(pixels, 3, channel) for channel in range(3)]
        self.see(0)

    def see(self, channel: int) -> None:
        """What follows is about pixels that have more of this channel than of the others; at first of the red."""
        own = self._channels[channel]
        other = self.node("Max", [self._channels[channel - 1], self._channels[channel - 2]])
        more = self.node("Greater", [self.node("Sub", [own, other]), self.constant(100.0)])
        self._mask = self.node("Cast", [self.node("Squeeze", [more, self.constant([3], np.int64)])], to=1)

    def boxes(self, box: str, units: str) -> str:
        """The frame of all pixels that are seen, (N, 4)."""
        top, bottom = self._ends(axis=2)
        left, right = self._ends(axis=1)
        if units == "normalised":
            side = self.constant(float(SIDE))
            left, top, right, bottom = (self.node("Div", [end, side]) for end in (left, top, right, bottom))
        match box:
            case "yxyx":
                return self.row([top, left, bottom, right])
            case "xywh":
                width, height = self.node("Sub", [right, left]), self.node("Sub", [bottom, top])
                half = self.constant(0.5)
                x, y = (
                    self.node("Mul", [self.node("Add", [first, last]), half])
                    for first, last in ((left, right), (top, bottom))
                )
                return self.row([x, y, width, height])
        return self.row([left, top, right, bottom])

    def score(self) -> str:
        there = self.node("ReduceMax", [self.node("Flatten", [self._mask])], axes=[1])
        return self.node("Mul", [there, self.constant(SCORE)])

    def numbers(self) -> str:
        """The pictures' numbers in the batch, (N, 1)."""
        count = self.node("Squeeze", [self.node("Shape", ["pixels"], end=1, start=0)])
        zero, one = self.constant(0, np.int64), self.constant(1, np.int64)
        numbers = self.node("Cast", [self.node("Range", [zero, count, one])], to=TensorProto.FLOAT)
        return self.node("Unsqueeze", [numbers, self.constant([1], np.int64)])

    def row(self, columns: list[str]) -> str:
        return self.node("Concat", columns, axis=1)

    def node(self, kind: str, inputs: list[str], name: str = "", **attributes: Any) -> str:
        name = name or f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def save(self, path: Path, batch: int | str, shapes: dict[str, list[Any]]) -> None:
        pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, [batch, SIDE, SIDE, 3])
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
        graph = helper.make_graph(self._nodes, "reds", [pixels], outputs, self._constants)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8), path)

    def _ends(self, axis: int) -> tuple[str, str]:
        """The first red row or column, and the one behind the last; (N, 1) each."""
        line = self.node("ReduceMax", [self._mask], axes=[axis], keepdims=0)
        first, last = (
            self.node("Cast", [self.node("ArgMax", [line], axis=1, select_last_index=end)], to=TensorProto.FLOAT)
            for end in (0, 1)
        )
        return first, self.node("Add", [last, self.constant(1.0)])

    def _part(self, tensor: str, axis: int, index: int) -> str:
        first, end, along = (self.constant([value], np.int64) for value in (index, index + 1, axis))
        return self.node("Slice", [tensor, first, end, along])

"""What outputs mean, on numbers written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from contract.image_header.header import Size
from model.detection.candidates import MOST_CANDIDATES, Candidates, Rows, choose, read_rows
from model.detection.objects import objects_in
from model.detection.spec import DetectionSpec
from model.detection.suppression import suppress
from model.errors import ModelError
from model.manifest import InputSpec
from model.preprocess import Window
from model.tests.detectors import FORMS

TARGET = InputSpec(name="pixels", dtype="uint8", layout="NHWC", width=200, height=100)
FLOOR = 0.1


def spec(form: str = "ssd", **changes: Any):
    return TypeAdapter(DetectionSpec).validate_python(FORMS[form] | changes)


def rows(*entries: tuple[Any, float, float]):
    """Of (box, score, class) each."""
    boxes, scores, classes = zip(*entries, strict=True)
    return Rows(np.array(boxes, np.float32), np.array(scores, np.float32), np.array(classes, np.float32))


def chosen(*entries: tuple[Any, float, float], **changes: Any):
    return choose(rows(*entries), spec(**changes), TARGET, classes=3)


@pytest.mark.parametrize(
    ("box", "units", "given"),
    [
        ("xyxy", "normalised", (0.1, 0.2, 0.5, 0.6)),
        ("yxyx", "normalised", (0.2, 0.1, 0.6, 0.5)),
        ("xywh", "normalised", (0.3, 0.4, 0.4, 0.4)),
        ("xyxy", "pixels", (20, 20, 100, 60)),
        ("yxyx", "pixels", (20, 20, 60, 100)),
        ("xywh", "pixels", (60, 40, 80, 40)),
    ],
)
def test_boxes_of_every_kind_become_corners_in_fractions_of_the_input(box, units, given):
    found = chosen((given, 0.9, 1), box=box, units=units)

    np.testing.assert_allclose(found.boxes, [[0.1, 0.2, 0.5, 0.6]], atol=1e-6)


def test_candidates_reach_the_floor_and_come_best_first():
    found = chosen(((0, 0, 9, 9), 0.3, 0), ((0, 0, 9, 9), FLOOR - 0.01, 1), ((0, 0, 9, 9), 0.9, 2))

    assert found.scores.tolist() == pytest.approx([0.9, 0.3])
    assert found.classes.tolist() == [2, 0]


def test_of_a_box_s_classes_the_best_counts():
    boxes, scores = np.zeros((1, 2, 4), np.float32), np.array([[[0.2, 0.7], [0.6, 0.5]]], np.float32)
    (found,) = read_rows([boxes, scores], spec(), pictures=1)

    assert found.classes.tolist() == [1, 0]
    assert found.scores.tolist() == pytest.approx([0.7, 0.6])


def test_boxes_may_have_a_dimension_of_one_among_their_own():
    """As TensorFlow's detection API gives them."""
    boxes, scores = np.arange(16, dtype=np.float32).reshape(2, 2, 1, 4), np.ones((2, 2, 3), np.float32)
    _, second = read_rows([boxes, scores], spec(), pictures=2)

    assert second.boxes.tolist() == [[8, 9, 10, 11], [12, 13, 14, 15]]


def test_the_background_is_no_class():
    boxes, scores = np.zeros((1, 1, 4), np.float32), np.array([[[0.9, 0.2, 0.4]]], np.float32)
    (found,) = read_rows([boxes, scores], spec("ssd with a background"), pictures=1)

    assert (found.classes.tolist(), found.scores.tolist()) == ([1], [pytest.approx(0.4)])


def test_objectness_counts_with_the_class():
    table = np.array([[[1, 2, 3, 4, 0.5, 0.25, 0.75]]], np.float32)
    (found,) = read_rows([table], spec("yolo v5"), pictures=1)

    assert (found.boxes.tolist(), found.classes.tolist()) == ([[1, 2, 3, 4]], [1])
    assert found.scores.tolist() == [0.375]


def test_transposed_rows_are_columns():
    table = np.array([[[1, 10], [2, 20], [3, 30], [4, 40], [0.25, 0.5], [0.75, 0.25]]], np.float32)
    (found,) = read_rows([table], spec("yolo v8"), pictures=1)

    assert found.boxes.tolist() == [[1, 2, 3, 4], [10, 20, 30, 40]]
    assert (found.classes.tolist(), found.scores.tolist()) == ([1, 0], [0.75, 0.5])


@pytest.mark.parametrize("shape", [(3, 7), (1, 1, 3, 7)])
def test_rows_that_name_their_picture_go_to_it(shape):
    """Of three pictures the second has none; the rows may come in any order."""
    table = np.array([[2, 1, 1, 2, 2, 0, 0.5], [0, 3, 3, 4, 4, 1, 0.75], [2, 5, 5, 6, 6, 1, 0.25]], np.float32)
    first, second, third = read_rows([table.reshape(shape)], spec("end2end of a batch"), pictures=3)

    assert first.boxes.tolist() == [[3, 3, 4, 4]]
    assert len(second.boxes) == 0
    assert (third.scores.tolist(), third.classes.tolist()) == ([0.5, 0.25], [0, 1])


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        (["box", "score", "class"], [1, 2, 3, 4, 0.5, 2]),
        (["box", "class", "score"], [1, 2, 3, 4, 2, 0.5]),
        (["class", "score", "box"], [2, 0.5, 1, 2, 3, 4]),
    ],
)
def test_a_row_s_numbers_are_what_the_manifest_says(columns, row):
    (found,) = read_rows([np.array([[row]], np.float32)], spec("end2end", columns=columns), pictures=1)

    assert (found.boxes.tolist(), found.scores.tolist(), found.classes.tolist()) == ([[1, 2, 3, 4]], [0.5], [2])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_rows_that_are_not_finite_are_left_out(bad):
    found = chosen(((0, 0, 9, 9), 0.5, 0), ((0, 0, bad, 9), 0.9, 1), ((0, 0, 9, 9), bad, 2), ((0, 0, 9, 9), 0.9, bad))

    assert (found.scores.tolist(), found.classes.tolist()) == ([0.5], [0])


def test_a_score_of_rounding_is_no_more_than_1():
    assert chosen(((0, 0, 9, 9), 1.00001, 0)).scores.tolist() == [1.0]


def test_a_picture_without_a_finite_row_is_a_fault_and_not_an_empty_picture():
    """A network that overflows must not say that it sees nothing."""
    with pytest.raises(ModelError, match="no row of finite values"):
        chosen(((0, 0, 9, float("nan")), 0.9, 0))


def test_no_rows_are_no_objects():
    """As of a network that suppresses overlaps itself, and sees nothing."""
    empty = Rows(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.float32))

    found = suppress(choose(empty, spec("end2end"), TARGET, classes=3), 0.5)

    assert len(found.boxes) == len(found.scores) == len(found.classes) == 0


@pytest.mark.parametrize("index", [-1, 3, 90])
def test_a_class_without_a_label_is_a_fault(index):
    """The labels are those of another network, or begin with another number."""
    with pytest.raises(ModelError, match=f"names classes from {index} to {index}, and there are labels for 0 to 2"):
        chosen(((0, 0, 9, 9), 0.9, index))


def test_rows_that_stand_for_nothing_may_be_of_any_class():
    """Networks with a fixed number of rows fill them up, with -1 for instance."""
    found = chosen(((0, 0, 9, 9), 0.9, 2), ((0, 0, 0, 0), 0.0, -1))

    assert found.classes.tolist() == [2]


def test_of_very_many_boxes_the_best_are_compared():
    """Pairs are what it costs: a picture of noise must not keep a worker busy."""
    count = 3 * MOST_CANDIDATES
    scores = np.random.default_rng(0).permutation(np.linspace(0.2, 0.9, count, dtype=np.float32))
    many = Rows(np.tile(np.array([0, 0, 9, 9], np.float32), (count, 1)), scores, np.zeros(count, np.float32))

    found = choose(many, spec(), TARGET, classes=1)

    assert len(found.scores) == MOST_CANDIDATES
    assert found.scores.tolist() == np.sort(scores)[::-1][:MOST_CANDIDATES].tolist()


def candidates(*entries: tuple[Any, float, int]):
    boxes, scores, classes = zip(*entries, strict=True)
    return Candidates(np.array(boxes, np.float32), np.array(scores, np.float32), np.array(classes, np.int64))


def test_of_boxes_of_a_class_that_overlap_the_best_is_kept():
    """0.6 of what the first two cover is common to both; the third lies beside them, the fourth is of another class."""
    found = candidates(
        ((0.0, 0.0, 0.8, 1.0), 0.9, 0),
        ((0.2, 0.0, 1.0, 1.0), 0.8, 0),
        ((1.0, 0.0, 1.8, 1.0), 0.7, 0),
        ((0.0, 0.0, 0.8, 1.0), 0.6, 1),
    )

    assert suppress(found, iou=0.55).scores.tolist() == pytest.approx([0.9, 0.7, 0.6])
    assert suppress(found, iou=0.65).scores.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])


def test_classes_are_told_apart_wherever_their_boxes_lie():
    """OpenCV moves each class aside by the largest coordinate, which is below 0 here."""
    box = (-2.0, -3.0, -1.0, -1.5)
    found = candidates(*((box, 0.9 - index / 100, index) for index in range(40)))

    assert suppress(found, iou=0.5).classes.tolist() == list(range(40))


def test_a_box_that_is_the_wrong_way_round_does_no_harm():
    found = candidates(((0.8, 0.8, 0.1, 0.1), 0.9, 0), ((0.1, 0.1, 0.8, 0.8), 0.8, 0))

    assert suppress(found, iou=0.5).scores.tolist() == pytest.approx([0.9, 0.8])
    shown = objects_in(found, Window(0, 0, 10, 10, Size(10, 10)), ["a"])
    assert [entry.score for entry in shown] == [pytest.approx(0.8)]


def test_what_lies_beside_the_picture_is_no_object_and_what_reaches_over_its_edge_ends_there():
    """In a letterbox's bars, for instance: here half of the input is above the picture."""
    found = candidates(((0.1, 0.1, 0.9, 0.4), 0.9, 0), ((0.2, 0.4, 1.2, 0.75), 0.8, 1))
    (shown,) = objects_in(found, Window(0, -50, 100, 100, Size(100, 50)), ["a", "b"])

    assert (shown.label, shown.index) == ("b", 1)
    assert shown.box == pytest.approx((20, 0, 100, 25), abs=1e-4)

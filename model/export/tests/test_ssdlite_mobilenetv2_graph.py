"""The graph on narrow weights. On the real ones test_detector_parity.py holds it to the original."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from model.export.graph import INPUT
from model.export.ssdlite_mobilenetv2 import graph
from model.export.ssdlite_mobilenetv2.network import BOXES, LABELS, SCORES, SIDE

WIDTH = 2  # of every map, so that all blocks but the first and the halving ones have a shortcut
ANCHORS_A_PLACE = (3, 6, 6, 6, 6, 6)
MAP_SIDES = (19, 10, 5, 3, 2, 1)
ANCHORS = 1917


@pytest.fixture(scope="module")
def narrow_weights():
    """Random ones but for the last convolutions, which are 0, so that biases are all that is predicted."""
    rng = np.random.default_rng(5)
    weights = {}

    def conv(name: str, side: int, inputs: int = WIDTH) -> None:
        weights[f"{name}/Conv2D/merged_input"] = rng.normal(0, 1, (side, side, inputs, WIDTH)).astype(np.float32)
        weights[f"{name}/BatchNorm/batchnorm/sub"] = rng.normal(0, 1, WIDTH).astype(np.float32)

    def depthwise(name: str) -> None:
        weights[f"{name}/depthwise_weights"] = rng.normal(0, 1, (3, 3, WIDTH, 1)).astype(np.float32)
        weights[f"{name}/BatchNorm/batchnorm/mul"] = rng.uniform(0.5, 2, WIDTH).astype(np.float32)
        weights[f"{name}/BatchNorm/batchnorm/sub"] = rng.normal(0, 1, WIDTH).astype(np.float32)

    def predictor(name: str, outputs: int) -> None:
        weights[f"{name}_depthwise/depthwise_weights"] = rng.normal(0, 1, (3, 3, WIDTH, 1)).astype(np.float32)
        for part in ("gamma", "beta", "moving_mean", "moving_variance"):
            weights[f"{name}_depthwise/BatchNorm/{part}"] = rng.uniform(0.5, 2, WIDTH).astype(np.float32)
        weights[f"{name}/weights"] = np.zeros((1, 1, WIDTH, outputs), np.float32)
        weights[f"{name}/biases"] = np.zeros(outputs, np.float32)

    backbone = "FeatureExtractor/MobilenetV2"
    conv(f"{backbone}/Conv", 3, inputs=3)
    for index in range(17):
        block = f"{backbone}/expanded_conv" + (f"_{index}" if index else "")
        if index:
            conv(f"{block}/expand", 1)
        depthwise(f"{block}/depthwise")
        conv(f"{block}/project", 1)
    conv(f"{backbone}/Conv_1", 1)
    for narrowing, halving in graph._EXTRAS:
        conv(f"{backbone}/{narrowing}", 1)
        depthwise(f"{backbone}/{halving}_depthwise")
        conv(f"{backbone}/{halving}", 1)
    for index, anchors in enumerate(ANCHORS_A_PLACE):
        predictor(f"BoxPredictor_{index}/BoxEncodingPredictor", anchors * 4)
        predictor(f"BoxPredictor_{index}/ClassPredictor", anchors * 91)
    top_left = rng.uniform(0, 0.5, (1, ANCHORS, 2))
    weights["Postprocessor/ExpandDims"] = np.concatenate(
        [top_left, top_left + rng.uniform(0.1, 0.5, (1, ANCHORS, 2))], axis=2
    ).astype(np.float32)
    return weights


def run(weights, count=1):
    session = ort.InferenceSession(graph.build(weights).SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(6).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)
    return session.run([BOXES, SCORES], {INPUT: pixels})


def changed(weights, predictor: str, biases: np.ndarray):
    return weights | {f"{predictor}/biases": biases.astype(np.float32)}


def test_there_is_a_box_and_a_score_of_each_class_for_every_anchor_of_every_picture(narrow_weights):
    boxes, scores = run(narrow_weights, count=2)

    assert boxes.shape == (2, ANCHORS, 4)
    assert scores.shape == (2, ANCHORS, 80)
    assert len(LABELS.read_text().splitlines()) == 80


def test_where_nothing_is_predicted_the_boxes_are_the_anchors(narrow_weights):
    boxes, scores = run(narrow_weights)

    np.testing.assert_allclose(boxes[0], narrow_weights["Postprocessor/ExpandDims"][0], atol=1e-6)
    assert (scores == 0.5).all()


def test_boxes_are_moved_by_tenths_of_their_anchors_and_grow_by_powers_of_e(narrow_weights):
    """Down, right, taller, wider: in the file's order, of the third of three anchors at each place of the first map."""
    biases = np.zeros((3, 4))
    biases[2] = 1, 2, 5 * np.log(2), 5 * np.log(3)
    boxes, _ = run(changed(narrow_weights, "BoxPredictor_0/BoxEncodingPredictor", biases.ravel()))

    first, rest = np.split(boxes[0], [19 * 19 * 3])
    anchors, others = np.split(narrow_weights["Postprocessor/ExpandDims"][0], [19 * 19 * 3])
    sides = (anchors[:, 2:] - anchors[:, :2])[2::3]
    centres = (anchors[:, 2:] + anchors[:, :2])[2::3] / 2 + sides * [0.1, 0.2]
    expected = np.concatenate([centres - sides * [1, 1.5], centres + sides * [1, 1.5]], axis=1)
    np.testing.assert_allclose(first[2::3], expected, atol=1e-5)
    np.testing.assert_allclose(first[:2], anchors[:2], atol=1e-6)
    np.testing.assert_allclose(rest, others, atol=1e-6)


def test_scores_are_those_of_the_numbers_that_coco_gives_a_class(narrow_weights):
    """Each number says which it is: 0 is the background, 12 and nine others are nothing."""
    numbers = np.tile(np.arange(91), 6) / 91
    _, scores = run(changed(narrow_weights, "BoxPredictor_5/ClassPredictor", numbers))

    shown = np.log(scores[0, -6:] / (1 - scores[0, -6:])) * 91  # of the last map, which is one place
    labels = LABELS.read_text().splitlines()
    numbered = dict(zip(labels, np.rint(shown[0]).astype(int).tolist(), strict=True))
    assert (np.rint(shown) == np.rint(shown[0])).all()
    expected = {
        "person": 1,
        "motorcycle": 4,
        "fire hydrant": 11,
        "stop sign": 13,
        "cat": 17,
        "cup": 47,
        "toothbrush": 90,
    }
    assert {label: numbered[label] for label in expected} == expected


def test_every_map_has_its_anchors_in_turn(narrow_weights):
    """Coarser maps come later; a map's places lie row by row."""
    sizes = [side * side * anchors for side, anchors in zip(MAP_SIDES, ANCHORS_A_PLACE, strict=True)]
    weights = narrow_weights
    for index, anchors in enumerate(ANCHORS_A_PLACE):
        weights = changed(weights, f"BoxPredictor_{index}/ClassPredictor", np.full(anchors * 91, index))
    _, scores = run(weights)

    logits = np.log(scores[0, :, 0] / (1 - scores[0, :, 0]))
    assert np.rint(logits).tolist() == np.repeat(np.arange(6), sizes).tolist()


def test_equal_weights_give_equal_bytes(narrow_weights):
    """A bundle's checksum names it: two machines that build it must agree."""
    once, again = (graph.build(narrow_weights).SerializeToString(deterministic=True) for _ in range(2))

    assert once == again

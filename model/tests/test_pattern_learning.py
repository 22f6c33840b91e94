"""Which objects belong to a part, and how far they may move: from lists of objects, without a model."""

from __future__ import annotations

import numpy as np
import pytest

from contract.messages import Box, DetectedObject, Detection, Timings
from contract.patterns.check import check
from contract.patterns.pattern import PatternSet, RelativeBox
from model.patterns.errors import Unclear
from model.patterns.grouping import group
from model.patterns.learning import LEAST_TOLERANCE, LearningRules, learn

LABELS = ("bolt", "nut", "clip")
SIDE = 1000
RULES = LearningRules()

Entry = tuple[str, float, float]


def picture(*objects: Entry, size: float = 0.1) -> Detection:
    """Of labels and the upper left corners of square boxes, relative to the picture."""
    found = tuple(
        DetectedObject(
            label, 0.9, LABELS.index(label), Box(*(SIDE * edge for edge in (left, top, left + size, top + size)))
        )
        for label, left, top in objects
    )
    return Detection("parts", "d" * 64, found, SIDE, SIDE, Timings(1, 1))


def moved(objects: list[Entry], count: int, by: float, seed: int = 1) -> list[Detection]:
    """Pictures of the same objects, each a little elsewhere in each, in another order in each."""
    random = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        there = [(label, left + random.uniform(-by, by), top + random.uniform(-by, by)) for label, left, top in objects]
        pictures.append(picture(*(there[index] for index in random.permutation(len(there)))))
    return pictures


PART = [("bolt", 0.1, 0.1), ("bolt", 0.4, 0.1), ("bolt", 0.1, 0.4), ("nut", 0.6, 0.6)]


def test_a_pattern_has_every_object_of_the_part_once_with_room_for_how_it_moved():
    learnt = learn("part", moved(PART, 10, by=0.01), LABELS, RULES)

    assert [(expected.label, expected.class_id) for expected in learnt.pattern.objects] == [
        ("bolt", None), ("bolt", None), ("bolt", None), ("nut", None),
    ]  # fmt: skip
    corners = [(placed.name, round(placed.median.left, 1), round(placed.median.top, 1)) for placed in learnt.placements]
    assert sorted(corners) == [("bolt", 0.1, 0.1), ("bolt", 0.1, 0.4), ("bolt", 0.4, 0.1), ("nut", 0.6, 0.6)]
    assert learnt.left_out == ()


@pytest.mark.parametrize("by", [0.0, 0.001, 0.02, 0.045])
@pytest.mark.parametrize("seed", range(5))
def test_every_good_part_that_was_learnt_from_passes(by, seed):
    pictures = moved(PART, 8, by, seed)
    learnt = learn("part", pictures, LABELS, RULES)

    assert all(check(PatternSet("part", (learnt.pattern,)), seen).decision for seen in pictures)


def test_the_same_pictures_give_the_same_pattern_in_whatever_order_objects_are_found():
    pictures = moved(PART, 6, by=0.03)
    backwards = [picture_of(reversed(seen.objects)) for seen in pictures]

    assert learn("part", backwards, LABELS, RULES) == learn("part", pictures, LABELS, RULES)


def picture_of(objects) -> Detection:
    return Detection("parts", "d" * 64, tuple(objects), SIDE, SIDE, Timings(1, 1))


def test_what_does_not_move_may_move_by_the_least_tolerance():
    (expected,) = learn("part", [picture(("nut", 0.5, 0.5))] * 3, LABELS, RULES).pattern.objects

    assert expected.inner == pytest.approx((0.52, 0.52, 0.58, 0.58), abs=2e-4)
    assert expected.outer == pytest.approx((0.48, 0.48, 0.62, 0.62), abs=2e-4)


def test_what_moves_may_move_by_three_standard_deviations():
    lefts = [0.48, 0.49, 0.50, 0.51, 0.52]
    (expected,) = learn("part", [picture(("nut", left, 0.5)) for left in lefts], LABELS, RULES).pattern.objects
    far = 3 * np.std(lefts, ddof=1)

    assert far > LEAST_TOLERANCE
    assert (expected.outer.left, expected.inner.left) == pytest.approx((0.5 - far, 0.5 + far), abs=2e-4)
    assert (expected.inner.right, expected.outer.right) == pytest.approx((0.6 - far, 0.6 + far), abs=2e-4)
    assert (expected.outer.top, expected.inner.top) == pytest.approx((0.48, 0.52), abs=2e-4)


def test_what_was_farther_than_that_once_may_be_so_again():
    """Three deviations of many pictures that are alike are less."""
    pictures = [picture(("nut", 0.5, 0.5))] * 30 + [picture(("nut", 0.59, 0.5))]
    (expected,) = learn("part", pictures, LABELS, RULES).pattern.objects

    assert expected.inner.left == pytest.approx(0.59, abs=2e-4)
    assert expected.outer.left == pytest.approx(0.5 - 3 * np.std([0.5] * 30 + [0.59], ddof=1), abs=2e-4)


def test_the_tolerance_ends_at_the_pictures_edges():
    (expected,) = learn("part", [picture(("nut", 0.0, 0.9))] * 3, LABELS, RULES).pattern.objects

    assert (expected.outer.left, expected.outer.bottom) == (0, 1)


def test_an_object_smaller_than_its_tolerance_has_a_crossed_inner_box():
    small = [picture(("nut", 0.5, 0.5), size=0.01)] * 3
    (expected,) = learn("part", small, LABELS, RULES).pattern.objects

    assert expected.inner.left > expected.inner.right
    assert check(PatternSet("part", (learn("part", small, LABELS, RULES).pattern,)), small[0]).decision


@pytest.mark.parametrize(("there", "kept"), [(10, True), (9, True), (8, False), (1, False)])
def test_what_is_in_some_pictures_only_is_left_out_and_told(there, kept):
    pictures = moved(PART, there, by=0.01) + moved(PART[:3], 10 - there, by=0.01, seed=2)
    learnt = learn("part", pictures, LABELS, RULES)

    assert ("nut" in {expected.label for expected in learnt.pattern.objects}) is kept
    assert [(placed.name, len(placed.pictures)) for placed in learnt.left_out] == ([] if kept else [("nut", there)])


def test_the_share_that_is_enough_can_be_stated():
    pictures = moved(PART, 6, by=0.01) + moved(PART[:3], 4, by=0.01, seed=2)

    assert len(learn("part", pictures, LABELS, LearningRules(least_share=0.6)).pattern.objects) == 4
    assert len(learn("part", pictures, LABELS, LearningRules(least_share=0.61)).pattern.objects) == 3


def test_a_report_names_the_pictures_between_which_an_object_moved_most():
    lefts = [0.50, 0.51, 0.48, 0.50, 0.53]
    (placed,) = learn("part", [picture(("nut", left, 0.5)) for left in lefts], LABELS, RULES).placements

    assert placed.extremes == (2, 4)
    assert placed.spread == pytest.approx(0.05)
    assert placed.median == pytest.approx(RelativeBox(0.5, 0.5, 0.6, 0.6))


def test_the_typical_picture_is_a_whole_one_that_is_nearest_to_the_medians():
    pictures = [picture(("nut", left, 0.5), ("bolt", 0.1, 0.1)) for left in (0.47, 0.52, 0.501, 0.49)]
    only_a_nut = picture(("nut", 0.5, 0.5))

    assert learn("part", [only_a_nut, *pictures], LABELS, LearningRules(least_share=0.8)).typical == 3


def test_a_label_that_names_two_classes_is_not_used():
    """As ImageNet's cranes, the bird and the machine."""
    labels = ("bolt", "nut", "bolt")
    learnt = learn("part", [picture(("bolt", 0.1, 0.1), ("nut", 0.5, 0.5))] * 3, labels, RULES)

    assert [(expected.label, expected.class_id) for expected in learnt.pattern.objects] == [(None, 0), ("nut", None)]


@pytest.mark.parametrize(
    ("pictures", "told"),
    [
        ([], "a pattern needs pictures of at least 3 good parts, and there are 0"),
        ([picture(("nut", 0.5, 0.5))] * 2, "a pattern needs pictures of at least 3 good parts, and there are 2"),
        ([picture()] * 3, "no object is in at least 3 of the 3 pictures: nothing was found in any"),
        (
            [picture(("nut", 0.5, 0.5))] * 2 + [picture()] * 3,
            "no object is in at least 5 of the 5 pictures; the most frequent, nut, is in 2",
        ),
        (
            [picture(("nut", 0.2, 0.5))] * 3 + [picture(("nut", 0.6, 0.5))] * 2,
            "5 of 5 pictures have nut, but not where the others have it: "  # noqa: ISC004  one text
            "at [0.200, 0.500, 0.300, 0.600] in 3, at [0.600, 0.500, 0.700, 0.600] in 2. If these are two",
        ),
        (
            [picture(("bolt", 0.1, 0.1), ("nut", spot / 8, 0.5)) for spot in range(6)],
            "6 of 6 pictures have nut, but not where the others have it: at [0.000, 0.500, 0.100, 0.600] in 1, at",
        ),
        (
            [picture(("nut", 0.5, 0.5), ("nut", 0.51, 0.5))] * 3,
            "two objects of the class nut, at [0.500, 0.500, 0.600, 0.600] and [0.510, 0.500, 0.610, 0.600], lie",
        ),
        (
            moved([("nut", 0.3, 0.3), ("nut", 0.36, 0.3)], 12, by=0.04),
            "12 of 12 pictures have nut, but not where the others have it: at ",
        ),
        (
            [picture(*[("nut", (spot % 11) / 12, (spot // 11) / 12) for spot in range(101)], size=0.01)] * 3,
            "a part has 101 objects, and a pattern may have 100",
        ),
        (
            [picture(*[("nut", 0.1, 0.1)] * 667)] * 3,
            "the pictures have 2001 times nut, and at most 2000 are compared",
        ),
    ],
)  # fmt: skip
def test_what_does_not_say_what_a_good_part_is_is_refused_with_a_reason(pictures, told):
    with pytest.raises(Unclear) as raised:
        learn("part", pictures, LABELS, RULES)

    assert str(raised.value).startswith(told)


def test_what_lies_freely_is_one_object_if_that_is_allowed():
    pictures = [picture(("nut", 0.2, 0.5))] * 3 + [picture(("nut", 0.45, 0.5))] * 2
    (placed,) = learn("part", pictures, LABELS, LearningRules(spread=0.25 + 1e-9)).placements

    assert placed.spread == pytest.approx(0.25)


def test_neighbours_of_a_class_are_told_apart_as_long_as_they_move_less_than_they_lie_apart():
    row = [("nut", 0.1 * column, 0.5) for column in range(9)]
    learnt = learn("row", moved(row, 20, by=0.02), LABELS, RULES)

    assert [round(placed.median.left, 1) for placed in learnt.placements] == [round(left, 1) for _, left, _ in row]
    assert all(len(placed.pictures) == 20 for placed in learnt.placements)


def boxes_at(*lefts: float) -> np.ndarray:
    return np.array([(left, 0.0, left + 0.1, 0.1) for left in lefts])


@pytest.mark.parametrize(
    ("lefts", "pictures", "groups"),
    [
        ([], [], []),
        ([0.1], [0], [[0]]),
        ([0.1, 0.15], [0, 1], [[0, 1]]),
        ([0.1, 0.25], [0, 1], [[0], [1]]),  # too far
        ([0.1, 0.1], [0, 0], [[0], [1]]),  # two of one picture
        ([0.1, 0.15, 0.2], [0, 1, 2], [[0, 1, 2]]),
        ([0.1, 0.17, 0.25], [0, 1, 2], [[0, 1], [2]]),  # in all too far, though each step is near enough
        ([0.1, 0.18, 0.24], [0, 1, 2], [[0], [1, 2]]),  # the nearest first
        ([0.1, 0.2, 0.15], [0, 0, 1], [[0, 2], [1]]),  # of equals the first
        ([0.1, 0.19, 0.12, 0.21], [0, 0, 1, 1], [[0, 2], [1, 3]]),
    ],
)
def test_boxes_are_put_together_nearest_first(lefts, pictures, groups):
    boxes = boxes_at(*lefts) if lefts else np.zeros((0, 4))
    found = group(boxes, np.array(pictures, np.intp), spread=0.1 + 1e-9)

    assert [members.tolist() for members in found] == groups


@pytest.mark.parametrize("grid", [0.001, 0.05], ids=["few are equally near", "many are"])
@pytest.mark.parametrize("seed", range(5))
def test_the_quick_way_to_the_nearest_groups_is_the_plain_one(seed, grid):
    """Which compares all groups anew each time."""
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 0.4, (30, 2)) // grid
    boxes, pictures = np.hstack([corners, corners + 0.1 // grid]) * grid, random.integers(0, 8, 30)

    assert [members.tolist() for members in group(boxes, pictures, 0.12)] == plain(boxes, pictures, 0.12)


def plain(boxes: np.ndarray, pictures: np.ndarray, spread: float) -> list[list[int]]:
    groups = [[index] for index in range(len(boxes))]
    while True:
        pairs = [
            (float(np.ptp(boxes[one + other], axis=0).max()), first, second)
            for first, one in enumerate(groups)
            for second, other in enumerate(groups[first + 1 :], first + 1)
            if not set(pictures[one].tolist()) & set(pictures[other].tolist())
        ]
        if not pairs or min(pairs)[0] > spread:
            return sorted(sorted(members) for members in groups)
        _, first, second = min(pairs)
        groups[first] += groups.pop(second)

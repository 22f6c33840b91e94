"""What is found, missing or out of place; by our own judgement and by the replaced system's."""

from __future__ import annotations

import pytest

from contract.messages import Box, DetectedObject, Detection, Timings
from contract.patterns.check import check
from contract.patterns.pattern import ExpectedObject, Pattern, PatternSet, RelativeBox
from contract.patterns.placement import Offset, beyond, offset, placed_objects
from contract.patterns.reasons import reasons
from contract.patterns.replaced_check import ReplacedVerdict, check_as_replaced

WIDTH, HEIGHT = 1000, 500
LABELS = ("bolt", "nut", "clip")


def around(label: str, left: float, top: float, right: float, bottom: float) -> ExpectedObject:
    """Each edge may be 0.05 off."""
    inner = RelativeBox(left + 0.05, top + 0.05, right - 0.05, bottom - 0.05)
    outer = RelativeBox(left - 0.05, top - 0.05, right + 0.05, bottom + 0.05)
    return ExpectedObject(inner, outer, label=label)


def picture(*objects: tuple[str, float, float, float, float]) -> Detection:
    """Of labels and relative boxes, best first."""
    found = tuple(
        DetectedObject(label, 0.9, LABELS.index(label), Box(left * WIDTH, top * HEIGHT, right * WIDTH, bottom * HEIGHT))
        for label, left, top, right, bottom in objects
    )
    return Detection("parts", "d" * 64, found, WIDTH, HEIGHT, Timings(1, 1))


BOLT, NUT, CLIP = ("bolt", 0.1, 0.1, 0.3, 0.3), ("nut", 0.6, 0.1, 0.8, 0.3), ("clip", 0.1, 0.6, 0.3, 0.8)
BOLT_BELOW = ("bolt", 0.6, 0.6, 0.8, 0.8)
ONE = Pattern("one", (around(*BOLT),))
TWO = Pattern("two", (around(*BOLT), around(*NUT)))
ALSO_TWO = Pattern("also two", (around(*BOLT), around(*CLIP)))
THREE = Pattern("three", (around(*BOLT), around(*NUT), around(*CLIP)))
OTHER = Pattern("other", (around(*CLIP), around(*BOLT_BELOW)))
BESIDE = Pattern("beside", (around("nut", 0.40, 0.1, 0.55, 0.3), around("nut", 0.43, 0.1, 0.58, 0.3)))
BETWEEN = ("nut", 0.42, 0.1, 0.57, 0.3)  # fits both

NOTHING = ReplacedVerdict(decision=False, pattern="", found=())


@pytest.mark.parametrize(
    ("patterns", "objects", "ours", "replaced"),
    [
        # Alike.
        ([TWO], [BOLT, NUT], ("two", True), ReplacedVerdict(True, "two", (True, True))),
        ([TWO], [NUT, BOLT, CLIP], ("two", True), ReplacedVerdict(True, "two", (True, True))),
        ([TWO], [BOLT], ("two", False), ReplacedVerdict(False, "two", (True, False))),
        ([TWO], [NUT, CLIP], ("two", False), ReplacedVerdict(False, "two", (False, True))),
        ([TWO, OTHER], [CLIP, BOLT_BELOW], ("other", True), ReplacedVerdict(True, "other", (True, True))),
        ([TWO, THREE], [BOLT, NUT, CLIP], ("three", True), ReplacedVerdict(True, "two", (True, True))),
        ([THREE, TWO], [BOLT, NUT, CLIP], ("three", True), ReplacedVerdict(True, "three", (True, True, True))),
        # The first of equals.
        ([TWO, ALSO_TWO], [BOLT], ("two", False), ReplacedVerdict(False, "two", (True, False))),
        ([ALSO_TWO, TWO], [BOLT], ("also two", False), ReplacedVerdict(False, "also two", (True, False))),
        ([TWO, ALSO_TWO], [BOLT, NUT, CLIP], ("two", True), ReplacedVerdict(True, "two", (True, True))),
        # With as many found, it is for us the one with fewer missing: the bolt is of the other one, out of place.
        ([TWO, OTHER], [BOLT, CLIP], ("other", False), ReplacedVerdict(False, "two", (True, False))),
        # A pattern of one object is never good in the replaced system.
        ([ONE], [BOLT], ("one", True), ReplacedVerdict(False, "one", (True,))),
        ([ONE, TWO], [BOLT, NUT], ("two", True), ReplacedVerdict(False, "one", (True,))),
        # Nothing is found: it names no pattern, we name the nearest.
        ([TWO, OTHER], [], ("two", False), NOTHING),
        ([THREE, OTHER], [], ("other", False), NOTHING),
        ([OTHER, ONE], [NUT], ("one", False), NOTHING),
        # Ours is a whole pattern before one with more objects found.
        (
            [Pattern("four", (*THREE.objects, around("clip", 0.7, 0.7, 0.9, 0.9))), Pattern("clip", THREE.objects[2:])],
            [BOLT, NUT, CLIP],
            ("clip", True),
            ReplacedVerdict(False, "four", (True, True, True, False)),
        ),
        # One nut is one nut.
        ([BESIDE], [BETWEEN], ("beside", False), ReplacedVerdict(True, "beside", (True, True))),
        ([BESIDE], [BETWEEN, BETWEEN], ("beside", True), ReplacedVerdict(True, "beside", (True, True))),
    ],
)
def test_both_judgements(patterns, objects, ours, replaced):
    pattern_set, seen = PatternSet("part", tuple(patterns)), picture(*objects)
    verdict = check(pattern_set, seen)

    assert (verdict.pattern, verdict.decision) == ours
    assert check_as_replaced(pattern_set, placed_objects(seen)) == replaced


@pytest.mark.parametrize(
    ("box", "good"),
    [
        ((0.05, 0.05, 0.25, 0.25), True),
        ((0.15, 0.15, 0.35, 0.35), True),
        ((0.05, 0.05, 0.35, 0.35), True),
        ((0.15, 0.15, 0.25, 0.25), True),
        ((0.049, 0.1, 0.3, 0.3), False),
        ((0.151, 0.1, 0.3, 0.3), False),
        ((0.1, 0.049, 0.3, 0.3), False),
        ((0.1, 0.151, 0.3, 0.3), False),
        ((0.1, 0.1, 0.249, 0.3), False),
        ((0.1, 0.1, 0.351, 0.3), False),
        ((0.1, 0.1, 0.3, 0.249), False),
        ((0.1, 0.1, 0.3, 0.351), False),
    ],
)
def test_every_edge_lies_between_the_two_boxes_which_belong_to_it(box, good):
    expected = ExpectedObject(RelativeBox(0.15, 0.15, 0.25, 0.25), RelativeBox(0.05, 0.05, 0.35, 0.35), label="bolt")
    patterns = PatternSet("part", (Pattern("one", (expected,)),))
    seen = picture(("bolt", *box))

    assert check(patterns, seen).decision is good
    assert check_as_replaced(patterns, placed_objects(seen)).found == ((True,) if good else ())


def test_a_class_is_named_by_its_label_or_by_its_index():
    by_index = ExpectedObject(THREE.objects[1].inner, THREE.objects[1].outer, class_id=1)
    patterns = PatternSet("part", (Pattern("nut", (by_index,)),))

    assert check(patterns, picture(NUT)).decision
    assert not check(patterns, picture(("bolt", *NUT[1:]))).decision


@pytest.mark.parametrize(
    "box",
    [(0.05, 0.05, 0.25, 0.25), (0.0, 0.1, 0.3, 0.3), (0.2, 0.2, 0.4, 0.4), (0.12, 0.3, 0.2, 0.9), (0.1, 0.0, 0.5, 1.0)],
)
def test_the_quick_distance_is_the_largest_offset(box):
    expected = around(*BOLT)
    largest = max(map(abs, offset(expected, RelativeBox(*box))))

    assert max(beyond(expected, RelativeBox(*box)), 0) == largest


def test_what_moved_is_out_of_place_by_what_it_is_beyond_its_tolerance():
    moved = ("nut", 0.6 + 0.12, 0.1, 0.8 + 0.07, 0.3 - 0.08)
    verdict = check(PatternSet("part", (TWO,)), picture(BOLT, moved, CLIP))
    there, elsewhere = verdict.findings

    assert (there.state, there.index, there.offset) == ("found", 0, None)
    assert (elsewhere.state, elsewhere.index) == ("out of place", 1)
    assert elsewhere.offset == pytest.approx(Offset(0.07, 0, 0.02, -0.03))
    assert verdict.surplus == (2,)
    assert reasons(verdict) == [
        (
            "object 2 (nut) is out of place: left edge 0.070 too far right, right edge 0.020 too far right, "
            "bottom edge 0.030 too far up"
        )
    ]


def test_what_is_gone_is_missing():
    verdict = check(PatternSet("part", (THREE,)), picture(CLIP, BOLT))

    assert [(finding.state, finding.index) for finding in verdict.findings] == [
        ("found", 1),
        ("missing", None),
        ("found", 0),
    ]
    assert reasons(verdict) == ["object 2 (nut) is missing"]
    assert (verdict.count("found"), verdict.count("missing"), verdict.count("out of place")) == (2, 1, 0)


def test_an_object_is_out_of_place_for_the_expected_one_that_it_is_nearest_to():
    """And what is found already is not out of place for another."""
    first, second = ("nut", 0.1, 0.1, 0.2, 0.2), ("nut", 0.7, 0.7, 0.8, 0.8)
    patterns = PatternSet("part", (Pattern("nuts", (around(*first), around(*second), around(*NUT))),))
    verdict = check(patterns, picture(NUT, ("nut", 0.6, 0.6, 0.7, 0.7)))

    assert [(finding.state, finding.index) for finding in verdict.findings] == [
        ("missing", None),
        ("out of place", 1),
        ("found", 0),
    ]


def test_as_many_are_found_as_can_be_at_once():
    """The first nut fits both places, the second only the first: who takes it there must leave it again."""
    only_first = ("nut", 0.36, 0.1, 0.51, 0.3)
    verdict = check(PatternSet("part", (BESIDE,)), picture(BETWEEN, only_first))

    assert verdict.decision
    assert [finding.index for finding in verdict.findings] == [1, 0]


def test_of_patterns_with_as_many_objects_found_the_one_that_is_less_out_of_place_is_told():
    left, right = around("nut", 0.1, 0.1, 0.2, 0.2), around("nut", 0.7, 0.1, 0.8, 0.2)
    patterns = PatternSet("part", (Pattern("left", (left,)), Pattern("right", (right,))))

    assert check(patterns, picture(("nut", 0.6, 0.1, 0.7, 0.2))).pattern == "right"
    assert check(patterns, picture(("nut", 0.2, 0.1, 0.3, 0.2))).pattern == "left"


def test_an_object_smaller_than_the_way_it_may_move_has_a_crossed_inner_box():
    small = ExpectedObject(RelativeBox(0.55, 0.55, 0.45, 0.45), RelativeBox(0.4, 0.4, 0.6, 0.6), label="nut")
    patterns = PatternSet("part", (Pattern("nut", (small,)),))

    for left in (0.41, 0.45, 0.50, 0.54):
        assert check(patterns, picture(("nut", left, 0.45, left + 0.05, 0.55))).decision
    assert not check(patterns, picture(("nut", 0.39, 0.45, 0.44, 0.55))).decision

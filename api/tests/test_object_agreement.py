"""Which objects of two detectors are the same, and what a check makes of that; real checks are in tests/."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.core.check_report import ServiceTimes
from api.core.object_agreement import ObjectFindings, ObjectSet, matches
from api.core.replay import Question, Replayed
from contract.decoding_cost import DecodingCost
from contract.messages import Box, DetectedObject, Detection, Timings
from contract.model_version import ModelVersion
from contract.overlap import iou

QUESTION = Question("0" * 64, DecodingCost("image/png", 1.0), None)
BOLT = DetectedObject("bolt", 0.9, 0, Box(100, 100, 200, 200))
NUT = replace(BOLT, label="nut", index=1)
AWAY = Box(300, 300, 400, 400)


def moved(by: float) -> DetectedObject:
    """To the right; by a third of its width it overlaps itself by half."""
    left, top, right, bottom = BOLT.box
    return replace(BOLT, box=Box(left + by, top, right + by, bottom))


def answered(*objects: DetectedObject, ms: float = 10.0) -> Detection:
    return Detection("parts", "a", objects, 640, 480, Timings(ms / 2, ms / 2))


def findings(*pairs: tuple[Detection | None, Detection | None], missing: tuple[str, ...] = ()) -> ObjectFindings:
    given, times = ObjectSet(), ServiceTimes()
    for pair in pairs:
        given.add(Replayed(QUESTION, pair))
        times.add(Replayed(QUESTION, pair))
    return ObjectFindings(
        current=ModelVersion("parts"),
        labelled=given,
        feedback=ObjectSet(),
        stored=ObjectSet(),
        times=times,
        missing=missing,
        used=given.labels,
        slower_ratio=1.5,
    )


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (BOLT, True),
        (replace(BOLT, score=0.5), True),
        (moved(33), True),
        (moved(34), False),
        (replace(BOLT, index=7), True),
        (replace(BOLT, label="Bolt"), False),
        (NUT, False),
        (replace(BOLT, box=AWAY), False),
        (replace(BOLT, box=Box(100, 100, 100, 200)), False),
    ],
)
def test_objects_of_the_same_label_that_overlap_by_half_are_the_same(other, same):
    """Whatever the class's index: another version may count its classes otherwise."""
    assert matches([BOLT], [other]) == ([(0, 0)] if same else [])


def test_labels_are_the_same_however_they_are_spelt():
    assert matches([replace(BOLT, label="hex_bolt")], [replace(BOLT, label="hex bolt")]) == [(0, 0)]


def test_each_object_is_one_of_the_other_s_only_and_that_which_it_overlaps_most():
    assert matches([moved(30), BOLT], [BOLT, BOLT]) == [(1, 0), (0, 1)]
    assert matches([BOLT], [BOLT, BOLT]) == [(0, 0)]


def test_boxes_without_an_area_overlap_nothing():
    """A worker of another version may answer such."""
    assert iou(Box(1, 1, 1, 1), Box(1, 1, 1, 1)) == 0.0


def test_what_counts_has_a_score_of_a_half():
    """Below that are a detector's doubts, of which the two have others each."""
    report = findings((answered(BOLT, replace(NUT, score=0.49)), answered(BOLT))).report()

    assert (report.labelled.objects_current, report.labelled.matched, report.labelled.agreed) == (1, 1, 1)


def test_a_candidate_passes_that_finds_nine_of_ten_and_little_else():
    same, lost, new = (answered(BOLT), answered(BOLT)), (answered(BOLT), answered()), (answered(), answered(NUT))
    passed = findings(*[same] * 9, lost, new).report()
    blind = findings(*[same] * 8, lost, lost).report()
    eager = findings(*[same] * 8, new, new).report()

    assert passed.passed
    assert passed.verdict == (
        "it finds the same: 9 of 10 objects of parts@1 (90.0%) and of 10 of its own (90.0%) are found by both; "
        "10.0 ms a picture, parts@1 10.0 ms"
    )
    assert not blind.passed
    assert blind.verdict == (
        "it finds others: 8 of 10 objects of parts@1 (80.0%) and of 8 of its own (100.0%) are found by both; "
        "90% of each are needed"
    )
    assert not eager.passed


def test_a_version_whose_workers_gave_a_picture_up_has_found_nothing_in_it():
    """To leave it out would make the version look better that fails."""
    report = findings((answered(BOLT), None), (answered(BOLT), answered(BOLT))).report()

    assert (report.labelled.pictures, report.labelled.matched, report.labelled.agreed) == (2, 1, 1)
    assert not report.passed


def test_a_slower_one_fails_and_so_does_one_that_lacks_a_label_which_is_found():
    report = findings((answered(BOLT), answered(BOLT, ms=16.0)), missing=("bolt", "washer")).report()

    assert report.verdict == (
        "it is slower: 16.0 ms a picture, parts@1 10.0 ms, of which it may take 1.5 times; "
        "it lacks labels that are needed: bolt"
    )


def test_what_each_has_found_alone_is_named():
    (one,) = findings((answered(BOLT, replace(BOLT, box=AWAY)), answered(NUT))).report().disagreements

    assert (one.expected, one.current, one.candidate) == ("", "2 bolt", "nut")

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from contract.errors import UnknownOutcome
from contract.messages import (
    MOST_OBJECTS,
    Box,
    Classification,
    ClassifyJob,
    DetectedObject,
    Detection,
    DetectJob,
    DrawJob,
    Dropped,
    Failure,
    FailureKind,
    Label,
    Lost,
    Timings,
    outcome_from_json,
    outcome_from_wire,
)

CAT = Classification("resnet50", "d" * 64, (Label("tabby", 0.75), Label("lynx", 0.25)), Timings(1.5, 20.0))
CRANES = Classification(
    "resnet50", "d" * 64, (Label("crane", 0.75, 517), Label("crane", 0.25, 134)), Timings(1.5, 20.0)
)
CUPS = Detection(
    "ssdlite",
    "d" * 64,
    (DetectedObject("cup", 0.75, 41, Box(10.25, 0, 99.5, 50)), DetectedObject("cup", 0.5, 41, Box(1, 2, 3, 4))),
    100,
    50,
    Timings(1.5, 20.0),
)


@pytest.mark.parametrize(
    "outcome",
    [
        CAT, CRANES, replace(CAT, damaged=True), CUPS, replace(CUPS, objects=(), damaged=True, version="2"),
        Failure(FailureKind.UNDECODABLE, "cut short"), Dropped(), Lost(),
    ],
    ids=["classified", "with classes", "damaged", "detected", "nothing detected", "failed", "dropped", "lost"],
)  # fmt: skip
def test_an_outcome_survives_the_wire(outcome):
    """Through JSON and back it is the same message."""
    assert outcome_from_wire(json.loads(json.dumps(outcome.to_wire()))) == outcome


def test_classes_stand_beside_the_labels():
    """APIs of the version before unpack each label into two, and look at nothing that they do not know."""
    wire = CRANES.to_wire()

    assert wire["labels"] == [["crane", 0.75], ["crane", 0.25]]
    assert wire["classes"] == [517, 134]
    assert "classes" not in CAT.to_wire()


@pytest.mark.parametrize("classes", [[517], [517, -1], [517, 1.0], [517, True], [517, "134"], {}, "ab"])
def test_what_are_no_indices_of_classes_is_no_answer(classes):
    with pytest.raises(UnknownOutcome):
        outcome_from_wire(CRANES.to_wire() | {"classes": classes})


def test_boxes_travel_to_a_hundredth_of_a_pixel():
    found = DetectedObject("cup", 0.123456789, 41, Box(1 / 3, 0, 2 / 3, 1))

    assert replace(CUPS, objects=(found,)).to_wire()["objects"] == [["cup", 0.123457, 41, [0.33, 0, 0.67, 1]]]


@pytest.mark.parametrize(
    "changes",
    [
        {"objects": None}, {"objects": [["cup", 0.5, 41]]}, {"objects": [["cup", 0.5, 41, [1, 2, 3]]]},
        {"objects": [["cup", 0.5, -1, [1, 2, 3, 4]]]}, {"objects": [["cup", "high", 41, [1, 2, 3, 4]]]},
        {"objects": [["cup", float("nan"), 41, [1, 2, 3, 4]]]}, {"objects": [["cup", 0.5, 41, [1, 2, 3, 10**400]]]},
        {"objects": [["cup", 0.5, 41, [1, 2, 3, 4]]] * (MOST_OBJECTS + 1)},
        {"width": 0}, {"height": -1}, {"width": 10**400}, {"width": "100"}, {"timings_ms": {}}, {"model": None},
    ],
)  # fmt: skip
def test_what_are_no_objects_is_no_answer(changes):
    with pytest.raises(UnknownOutcome):
        outcome_from_wire(CUPS.to_wire() | changes)


CUP = DetectedObject("Tasse", 0.75, 41, Box(10.25, 0, 99.5, 50))
DRAWING = DrawJob("0" * 64, "image/png", 100, 50, (CUP,))


def test_a_job_to_draw_survives_the_wire():
    assert DrawJob.from_wire(json.loads(json.dumps(DRAWING.to_args()))) == DRAWING


@pytest.mark.parametrize(
    "args",
    [
        None, [], ["0" * 64], [*DRAWING.to_args(), 1], ["0" * 64, "image/gif", 100, 50, [], ""],
        ["0" * 64, "image/png", 0, 50, [], ""], ["0" * 64, "image/png", 100, -1, [], ""],
        ["0" * 64, "image/png", 100, 50, [["cup"]], ""], ["0" * 64, "image/png", 100, 50, [], None],
        ["0" * 64, "image/png", 100, 50, DRAWING.to_args()[4] * (MOST_OBJECTS + 1), ""],
    ],
)  # fmt: skip
def test_what_is_no_job_to_draw_is_refused(args):
    with pytest.raises(ValueError, match="not a"):
        DrawJob.from_wire(args)


def test_jobs_that_draw_the_same_are_one_and_all_others_are_not():
    others = [
        replace(DRAWING, picture="1" * 64), replace(DRAWING, media_type="image/jpeg"), replace(DRAWING, width=101),
        replace(DRAWING, objects=()), replace(DRAWING, objects=(replace(CUP, score=0.5),)), replace(DRAWING, apart="x"),
    ]  # fmt: skip
    jobs = [DRAWING, replace(DRAWING, objects=(replace(CUP, score=0.75),)), *others]

    assert len({job.computation for job in jobs}) == len({job.copy_name for job in jobs}) == 1 + len(others)
    assert [job.cache for job in jobs] == [True] * (len(jobs) - 1) + [False]


@pytest.mark.parametrize("kind", [ClassifyJob, DetectJob])
@pytest.mark.parametrize("strict", [True, False])
def test_a_job_survives_the_wire(kind, strict):
    job = kind("0" * 64, cache=True, strict=strict)
    args, meta = json.loads(json.dumps([job.to_args(), job.to_meta()]))

    assert kind.from_wire(args, meta) == job


def test_jobs_of_two_tasks_are_two_jobs():
    """Of one picture: each is for another model's queue."""
    jobs = {ClassifyJob("0" * 64, cache=True), DetectJob("0" * 64, cache=True), DetectJob("0" * 64, cache=True)}

    assert len(jobs) == 2


def test_a_strict_job_has_the_form_that_it_always_had():
    """Workers of the version before refuse any other arguments, and a job that they refuse is lost."""
    assert ClassifyJob("0" * 64, cache=True).to_args() == ["0" * 64, True]
    assert ClassifyJob("0" * 64, cache=True).to_meta() == {}
    assert ClassifyJob("0" * 64, cache=True, strict=False).to_args() == ["0" * 64, True]


def test_the_request_that_brought_a_job_is_named_beside_it_and_makes_no_other_of_it():
    """Older workers do not look there."""
    job = ClassifyJob("0" * 64, cache=True, request_id="r-1")
    read = ClassifyJob.from_wire(job.to_args(), job.to_meta())

    assert read.request_id == "r-1"
    assert read == ClassifyJob("0" * 64, cache=True)
    for forged in (5, "x" * 129, None):
        assert ClassifyJob.from_wire(job.to_args(), {"request_id": forged}).request_id == ""


@pytest.mark.parametrize("meta", [{}, {"tries_alone": 2}])
def test_a_job_that_does_not_say_is_strict(meta):
    """Those that were queued before there was a choice; workers count their tries in the same place."""
    assert ClassifyJob.from_wire(["0" * 64, True], meta).strict


def test_strict_and_lenient_jobs_of_a_picture_are_two_computations():
    """One may be refused where the other is answered. The strict one's name is that which older versions know."""
    strict, lenient = (ClassifyJob("0" * 64, cache=True, strict=strict).computation for strict in (True, False))

    assert strict == "0" * 64
    assert lenient != strict


def test_an_answer_of_a_sound_picture_says_nothing_of_damage_on_the_wire():
    """It is what every stored answer is made of, and older versions wrote it so."""
    assert "damaged" not in CAT.to_wire()


@pytest.mark.parametrize(
    "wire",
    [
        {"outcome": "copied", "size_bytes": -1}, {"outcome": "copied", "size_bytes": 10**30},
        None, [], "classified", {}, {"outcome": "new kind"}, {"outcome": "failed", "kind": "novel", "detail": ""},
        {**CAT.to_wire(), "labels": [["tabby"]]}, {**CAT.to_wire(), "labels": []}, {**CAT.to_wire(), "labels": 3},
        {**CAT.to_wire(), "labels": [["tabby", float("nan")]]}, {**CAT.to_wire(), "labels": [["tabby", 10**400]]},
        {**CAT.to_wire(), "model": None},
    ],
)  # fmt: skip
def test_what_is_not_an_outcome_is_refused(wire):
    """Redis may hold what another version, or another program, wrote."""
    with pytest.raises(UnknownOutcome):
        outcome_from_wire(wire)


@pytest.mark.parametrize("args", [None, [], ["0" * 64], ["0" * 64, "yes"], [1, True], ["0" * 64, True, 1]])
def test_what_is_not_a_job_is_refused(args):
    with pytest.raises(ValueError, match="not a job for a picture"):
        ClassifyJob.from_wire(args, {})


@pytest.mark.parametrize("strict", [None, 0, 1, "false"])
def test_a_strictness_of_another_form_is_not_guessed_at(strict):
    with pytest.raises(ValueError, match="not a job for a picture"):
        ClassifyJob.from_wire(["0" * 64, True], {"strict": strict})


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b'"classified"'])
def test_what_is_no_json_of_an_outcome_is_refused(text):
    with pytest.raises(UnknownOutcome):
        outcome_from_json(text)

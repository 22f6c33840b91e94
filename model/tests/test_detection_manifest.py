"""What a manifest may say of a detector, and what is said of a wrong one."""

from __future__ import annotations

import pytest

from model.bundle import load_bundle
from model.errors import BundleError
from model.manifest import Manifest
from model.tests import detectors, networks

BOX = [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("form", detectors.FORMS)
def test_every_form_is_read_as_it_was_written(tmp_path, form):
    bundle = load_bundle(detectors.write_bundle(tmp_path / "bundle", form))

    assert bundle.task == "detection"
    assert bundle.output.model_dump(mode="json") == detectors.FORMS[form] | {"max_objects": 100}
    assert bundle.description.task == "detection"


@pytest.mark.parametrize(
    ("form", "changes", "complaint"),
    [
        ("ssd", {"form": "rcnn"}, "detection: 'form' must be one of 'ssd', 'yolo', 'end2end', not 'rcnn'"),
        ("ssd", {"box": "xyhw"}, "detection.box: must be 'xyxy', 'yxyx' or 'xywh', not 'xyhw'"),
        ("ssd", {"units": "percent"}, "detection.units: must be 'normalised' or 'pixels', not 'percent'"),
        ("ssd", {"iou": 0}, "detection.iou: must be above 0"),
        ("ssd", {"iou": 1.5}, "detection.iou: must be below 1"),
        ("yolo v5", {"iou": "half"}, "detection.iou: must be a number, not 'half'"),
        ("ssd", {"min_score": 0}, "detection.min_score: must be above 0"),
        ("ssd", {"min_score": 1}, "detection.min_score: must be below 1"),
        ("ssd", {"max_objects": 0}, "detection.max_objects: must be at least 1, not 0"),
        ("ssd", {"max_objects": 1001}, "detection.max_objects: must be at most 1000, not 1001"),
        ("ssd", {"outputs": {"boxes": "boxes"}}, "detection.outputs.scores: is missing"),
        ("ssd", {"outputs": "boxes"}, "detection.outputs: must be an object in braces, not 'boxes'"),
        ("ssd", {"background": "first"}, "detection.background: must be true or false, not 'first'"),
        ("ssd", {"objectness": True}, "detection.objectness: nobody knows this field, not True"),
        ("yolo v8", {"transposed": None}, "detection.transposed: must be true or false, not None"),
        ("yolo v8", {"output": 0}, "detection.output: must be text in quotes, not 0"),
        ("end2end", {"iou": 0.5}, "detection.iou: nobody knows this field, not 0.5"),
        ("end2end", {"columns": ["box", "score"]}, "detection.columns: has 'box', 'score' and 'class', each once"),
        ("end2end", {"columns": ["box", "score", "class", "box"]}, "detection.columns: has 'box'"),
        ("end2end", {"columns": ["box", "score", "class", "picture"]}, "and may begin 'picture'"),
        ("end2end", {"columns": ["box", "score", "label"]}, "detection.columns.2: must be 'picture', 'box', 'score'"),
    ],
)  # fmt: skip
def test_a_wrong_detection_is_refused_and_the_message_says_where(tmp_path, form, changes, complaint):
    """Someone who brings a detector finds the mistake in the worker's log, not in wrong boxes."""
    path = detectors.write_bundle(tmp_path / "bundle", form)
    detectors.change_manifest(path, detection=detectors.FORMS[form] | changes)

    with pytest.raises(BundleError) as refusal:
        load_bundle(path)
    assert complaint in str(refusal.value)


def without(form: str, field: str):
    return {name: value for name, value in detectors.FORMS[form].items() if name != field}


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ("ssd", "iou"), ("ssd", "outputs"), ("ssd", "box"), ("ssd", "units"), ("ssd", "min_score"),
        ("ssd", "background"), ("yolo v5", "objectness"), ("yolo v8", "transposed"), ("yolo v8", "output"),
        ("end2end", "columns"), ("end2end", "output"),
    ],
)  # fmt: skip
def test_what_would_have_to_be_guessed_must_be_stated(tmp_path, form, field):
    path = detectors.write_bundle(tmp_path / "bundle", form)
    detectors.change_manifest(path, detection=without(form, field))

    with pytest.raises(BundleError, match=rf"^model\.json: detection\.{field}: is missing$"):
        load_bundle(path)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"detection": without("ssd", "form")}, "model.json: detection: 'form' is missing"),
        ({"detection": None}, "detection is missing, because the task is detection"),
        ({"task": "classification"}, "output is missing, because the task is classification"),
        ({"output": {"name": "boxes", "kind": "probabilities"}}, "output is for another task than detection"),
        ({"preprocess": detectors.SQUASH | {"exif_orientation": False}}, "exif_orientation must be true, because"),
        ({"preprocess": detectors.SQUASH | {"padding": 0}}, "padding is given with resize letterbox, and only with it"),
        ({"preprocess": detectors.LETTERBOX | {"padding": None}}, "padding is given with resize letterbox"),
        ({"preprocess": detectors.LETTERBOX | {"padding": 256}}, "preprocess.padding: must be at most 255, not 256"),
        ({"preprocess": detectors.LETTERBOX | {"place": "left"}}, "preprocess.place: must be 'middle' or 'top_left'"),
        ({"preprocess": detectors.SQUASH | {"place": "middle"}}, "place is given with resize letterbox only"),
        ({"golden": {"file": "labels.txt", "label": "red"}}, "golden.objects is missing, because the task is"),
        ({"golden": {"file": "labels.txt", "objects": []}}, "golden.objects is missing"),
        (
            {"golden": {"file": "labels.txt", "label": "red", "objects": [{"label": "red", "box": BOX}]}},
            "golden.label is for another task than detection",
        ),
        (
            {"golden": {"file": "labels.txt", "objects": [{"label": "mauve", "box": BOX}]}},
            "golden.objects.0.label 'mauve' is not among the labels",
        ),
        ({"golden": {"file": "labels.txt", "objects": [{"label": "red", "box": BOX[:3]}]}}, "golden.objects.0.box"),
        (
            {"golden": {"file": "labels.txt", "objects": [{"label": "red", "box": [3, 2, 1, 4]}]}},
            "golden.objects.0.box: a box is left, top, right and bottom, in pixels of the picture",
        ),
    ],
)  # fmt: skip
def test_what_does_not_belong_together_is_refused(tmp_path, fields, complaint):
    path = detectors.write_bundle(tmp_path / "bundle")
    detectors.change_manifest(path, **fields)

    with pytest.raises(BundleError) as refusal:
        load_bundle(path)
    assert complaint in str(refusal.value)


def test_a_classifier_has_no_detection(write_bundle):
    with pytest.raises(BundleError, match="detection is for another task than classification"):
        load_bundle(write_bundle(detection=detectors.FORMS["ssd"]))
    with pytest.raises(BundleError, match=r"golden\.label is missing, because the task is classification"):
        load_bundle(write_bundle("other", golden={"file": "labels.txt", "objects": [{"label": "red", "box": BOX}]}))


def test_what_decides_which_boxes_are_answers_is_part_of_the_version(tmp_path):
    """Variants of a version may stand for each other: int8 with another floor would answer otherwise."""
    one, same, other = (
        load_bundle(detectors.write_bundle(tmp_path / name, min_score=floor))
        for name, floor in (("one", 0.1), ("same", 0.1), ("other", 0.2))
    )

    assert one.interface == same.interface
    assert other.interface != one.interface


def test_a_classifier_s_manifest_is_written_out_as_before_there_were_detectors():
    """Its digest, and what workers of the version before compare, stand on it."""
    written = Manifest.model_validate(networks.UINT8_MANIFEST).model_dump()

    assert not {"detection"} & written.keys()
    assert not {"padding", "place"} & written["preprocess"].keys()

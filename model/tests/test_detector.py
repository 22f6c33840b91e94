"""A detector from a picture's bytes to its objects, on small networks that find what is red."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from contract.messages import Box, DetectedObject, Detection, Failure, FailureKind
from contract.overlap import iou
from model.bundle import LABELS, MANIFEST, load_bundle
from model.classifier import Classifier
from model.detection.detector import Detector
from model.errors import BundleError
from model.orientation import turned
from model.picture import Picture
from model.tests import detectors
from tests.pictures import odd, oriented, profiles

if TYPE_CHECKING:
    from pathlib import Path

    Corners = tuple[float, float, float, float]

WHITE, RED = (255, 255, 255), (255, 0, 0)
UPRIGHT_AGAIN = {6: 8, 8: 6}  # a quarter turn to the one side is undone by one to the other; all else by itself


@pytest.fixture
def detector(tmp_path, decoder):
    """A detector of a form, made for the test."""

    def make(form: str = "ssd", **options: Any) -> Detector:
        bundle = detectors.write_bundle(tmp_path / f"bundle {len(list(tmp_path.iterdir()))}", form, **options)
        return Detector(load_bundle(bundle), decoder)

    return make


def painted(size, *boxes: Corners):
    picture = Image.new("RGB", size, WHITE)
    for box in boxes:
        left, top, right, bottom = map(round, box)
        picture.paste(RED, (left, top, right, bottom))
    return picture


def png(size, *boxes: Corners):
    return Picture(odd.encoded(painted(size, *boxes), "PNG"))


def boxes(outcome):
    assert isinstance(outcome, Detection)
    return [found.box for found in outcome.objects]


@pytest.mark.parametrize("form", detectors.FORMS)
@pytest.mark.parametrize("box", ["xyxy", "yxyx", "xywh"])
@pytest.mark.parametrize("units", ["pixels", "normalised"])
def test_outputs_of_every_form_become_objects_in_the_picture_s_own_pixels(detector, form, box, units):
    found = detector(form, box=box, units=units)
    found.verify()
    upper, nothing, lower = found.predict(
        [png((640, 320), (100, 50, 300, 150)), png((80, 80)), png((128, 256), (64, 128, 128, 256))]
    )

    (seen,) = upper.objects
    assert (seen.label, seen.index, seen.score) == ("red", 1, detectors.SCORE)
    assert seen.box == pytest.approx(Box(100, 50, 300, 150))
    assert (upper.width, upper.height) == (640, 320)
    assert nothing.objects == ()
    assert boxes(lower) == [pytest.approx(Box(64, 128, 128, 256))]


@pytest.mark.parametrize("form", ["ssd", "yolo v5", "yolo v8", "end2end"])
def test_a_network_with_a_batch_size_of_one_takes_a_batch_picture_by_picture(detector, form):
    """Most published detectors were exported so."""
    first, second = detector(form, batch=1).predict([png((64, 64), (0, 0, 8, 8)), png((64, 64), (8, 8, 32, 16))])

    assert boxes(first) == [Box(0, 0, 8, 8)]
    assert boxes(second) == [Box(8, 8, 32, 16)]


@pytest.mark.parametrize(
    ("preprocess", "size"),
    [
        (detectors.SQUASH, (640, 192)),
        (detectors.SQUASH, (48, 32)),
        (detectors.LETTERBOX, (640, 320)),
        (detectors.LETTERBOX, (320, 640)),
        (detectors.LETTERBOX, (32, 16)),
        (detectors.LETTERBOX | {"place": "top_left"}, (320, 640)),
        (detectors.LETTERBOX | {"interpolation": "area"}, (6400, 3200)),
        (detectors.CROP, (576, 720)),
    ],
)
def test_boxes_come_back_through_every_way_into_the_network(detector, preprocess, size):
    """Where the input shows a quarter of the picture's width and height, from its middle to the right and up."""
    width, height = size
    box = Box(width / 2, height / 4, width * 3 / 4, height / 2)
    (outcome,) = detector(preprocess=preprocess).predict([png(size, box)])

    of_a_pixel = max(size) / detectors.SIDE
    assert boxes(outcome) == [pytest.approx(box, abs=of_a_pixel)]


def test_what_reaches_to_the_picture_s_edge_ends_there(detector):
    """The bars of a letterbox are no part of the picture."""
    found = detector(preprocess=detectors.LETTERBOX | {"padding": 0})
    wide, thin = found.predict([png((640, 200), (0, 0, 640, 200)), png((3, 3000), (0, 0, 3, 3000))])

    assert boxes(wide) == [Box(0, 0, 640, 200)]
    assert boxes(thin) == [Box(0, 0, 3, 3000)]


def test_crop_sees_the_middle_only(detector):
    (outcome,) = detector(preprocess=detectors.CROP).predict([png((640, 320), (0, 0, 640, 320))])

    left, top, right, bottom = boxes(outcome)[0]
    assert (left, right) == pytest.approx((320 - 142.2, 320 + 142.2), abs=0.1)
    assert (top, bottom) == pytest.approx((17.8, 302.2), abs=0.1)


def as_jpeg(picture, orientation):
    stored = Image.fromarray(turned(np.asarray(picture), UPRIGHT_AGAIN.get(orientation, orientation)))
    return oriented.jpeg_with(b"Exif\0\0" + oriented.exif(orientation), picture=stored)


def as_png(picture, orientation):
    stored = Image.fromarray(turned(np.asarray(picture), UPRIGHT_AGAIN.get(orientation, orientation)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return odd.encoded(stored, "PNG", exif=exif, compress_level=1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("encoded", "preprocess", "size"),
    [
        (as_jpeg, detectors.SQUASH, (640, 320)),
        (as_jpeg, detectors.LETTERBOX, (320, 640)),
        (as_jpeg, detectors.LETTERBOX, (4096, 2048)),
        (as_png, detectors.LETTERBOX, (640, 320)),
    ],
)
def test_boxes_lie_in_the_upright_picture_however_it_was_turned(detector, encoded, preprocess, size, orientation):
    """The large JPEG is decoded at an eighth of its size before it is turned; the PNG is read in the sandbox."""
    width, height = size
    box = (width // 8, height // 2, width // 2, height * 3 // 4)
    (outcome,) = detector(preprocess=preprocess).predict([Picture(encoded(painted(size, box), orientation))])

    assert (outcome.width, outcome.height) == size
    assert boxes(outcome) == [pytest.approx(box, abs=0.01)]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_of_sides_that_no_reduction_divides_a_box_is_off_by_less_than_a_pixel_of_the_input(detector, orientation):
    size, box = (3989, 3001), (1200, 400, 3000, 2500)
    (outcome,) = detector().predict([Picture(as_jpeg(painted(size, box), orientation))])

    of_a_pixel = max(size) / detectors.SIDE
    assert (outcome.width, outcome.height) == size
    assert boxes(outcome) == [pytest.approx(box, abs=of_a_pixel)]


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0, "icc_profile": profiles.display_p3()}),
        ("PNG", {"compress_level": 1, "icc_profile": profiles.display_p3()}),
        ("BMP", {}),
    ],
)
def test_what_the_sandbox_makes_smaller_moves_no_box(detector, file_format, options):
    """A JPEG's codec does it there too; other pictures are averaged."""
    picture = painted((2048, 4096), (512, 1024, 1024, 2560))
    (outcome,) = detector().predict([Picture(odd.encoded(picture, file_format, **options))])

    assert (outcome.width, outcome.height) == (2048, 4096)
    assert boxes(outcome) == [pytest.approx(Box(512, 1024, 1024, 2560), abs=0.01)]


def test_a_bad_picture_fails_alone(detector):
    """It shares a batch with other people's pictures."""
    bad, good, huge = detector().predict(
        [Picture(odd.text_as_jpeg()), png((64, 64), (0, 0, 8, 8)), Picture(odd.huge_png())]
    )

    assert isinstance(bad, Failure)
    assert boxes(good) == [Box(0, 0, 8, 8)]
    assert isinstance(huge, Failure)
    assert huge.kind is FailureKind.TOO_MANY_PIXELS


def test_what_is_there_of_a_damaged_picture_is_looked_at_if_its_sender_asks_for_it(detector):
    whole = odd.encoded(painted((64, 64), (0, 0, 16, 16)), "PNG", compress_level=0)
    strict, lenient = detector().predict(
        [Picture(whole[: len(whole) // 2]), Picture(whole[: len(whole) // 2], strict=False)]
    )

    assert isinstance(strict, Failure)
    assert lenient.damaged
    assert boxes(lenient) == [Box(0, 0, 16, 16)]


def test_an_answer_names_the_version_that_made_it(tmp_path, decoder):
    path = detectors.write_bundle(tmp_path / "bundle")
    detectors.change_manifest(path, version="2")
    bundle = load_bundle(path)
    (outcome,) = Detector(bundle, decoder).predict([png((64, 64))])

    assert isinstance(outcome, Detection)
    assert (outcome.model, outcome.version, outcome.digest, outcome.key) == ("reds", "2", bundle.digest, "reds@2")


@pytest.fixture
def golden_bundle(tmp_path):
    """A detector with a golden picture, whose red lies elsewhere than its mirror image by any axis."""

    def write(label: str = "red", box: Corners = (100, 50, 300, 150), **changes: Any) -> Path:
        path = detectors.write_bundle(tmp_path / "bundle", **changes)
        (path / "golden.png").write_bytes(png((640, 320), (100, 50, 300, 150)).data)
        golden = {"file": "golden.png", "objects": [{"label": label, "box": box}]}
        detectors.change_manifest(path, golden=golden)
        return path

    return write


def test_a_golden_picture_whose_objects_are_found_lets_a_model_serve(golden_bundle, decoder):
    bundle = load_bundle(golden_bundle(box=(110, 52, 300, 150)))

    assert bundle.golden is not None
    assert Detector(bundle, decoder).check_golden(bundle.golden) == detectors.SCORE


@pytest.mark.parametrize(
    ("golden", "complaint"),
    [
        ({"label": "blue"}, "expects blue at [100, 50, 300, 150], but the model finds red 0.75 at [100, 50, 300, 150]"),
        ({"box": (50, 100, 150, 300)}, "expects red at [50, 100, 150, 300], but the model finds red 0.75 at [100, 50,"),
        ({"box": (0, 0, 640, 320)}, "expects red at [0, 0, 640, 320], but"),
        ({"min_score": 0.8}, "but the model finds nothing"),
    ],
)
def test_a_model_that_finds_something_else_in_its_golden_picture_is_refused(golden_bundle, decoder, golden, complaint):
    """Half-right boxes look right on a page: better no model than that one."""
    with pytest.raises(BundleError) as refusal:
        Detector(load_bundle(golden_bundle(**golden)), decoder).verify()
    assert complaint in str(refusal.value)


def test_a_golden_picture_that_can_t_be_read_is_said_to_be_that(golden_bundle, decoder):
    path = golden_bundle()
    (path / "golden.png").write_bytes(b"no picture")

    with pytest.raises(BundleError, match=r"golden\.png: the golden picture can't be read"):
        Detector(load_bundle(path), decoder).verify()


@pytest.mark.parametrize(
    ("made", "changes", "complaint"),
    [
        ("ssd", {"units": "normalised"}, 'as pixels do: write "units": "pixels"'),
        ("yolo v8", {"units": "normalised"}, 'as pixels do: write "units": "pixels"'),
        ("ssd", {"outputs": {"boxes": "boxes", "scores": "score"}}, "its outputs are boxes float32 ['N', 1, 4]; s"),
        ("ssd", {"outputs": {"boxes": "scores", "scores": "boxes"}}, "manifest says float32 with boxes, (N, rows, 4)"),
        ("ssd", {"background": True}, "float32 with scores of 2 classes and the background, (N, rows, 3)"),
        ("ssd with a background", {"background": False}, "float32 with scores of 2 classes, (N, rows, 2)"),
        ("yolo v5", {"objectness": False}, "a box, and scores of 2 classes in each row, (N, rows, 6)"),
        ("yolo v8", {"transposed": False}, "a box, and scores of 2 classes in each row, (N, rows, 6)"),
        ("end2end", {"columns": ["picture", "box", "score", "class"]}, "float32 with picture, box, score, class in"),
        ("end2end of a batch", {"columns": ["box", "score", "class"]}, "float32 with box, score, class in each row"),
    ],
)  # fmt: skip
def test_a_network_that_is_not_what_the_manifest_says_is_refused(tmp_path, decoder, made, changes, complaint):
    """A wrong form can run and give wrong boxes; better no worker than that one."""
    path = detectors.write_bundle(tmp_path / "bundle", made)
    detectors.change_manifest(path, detection=detectors.FORMS[made] | changes)

    with pytest.raises(BundleError) as refusal:
        Detector(load_bundle(path), decoder).verify()
    assert complaint in str(refusal.value)


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        ({"units": "normalised"}, 'as fractions do: write "units": "normalised"'),
        ({"box": "xywh"}, 'sides below 0 if they are "box": "xyxy": they may be centre, width and'),
    ],
)
def test_boxes_that_noise_shows_to_be_of_another_kind_are_refused(tmp_path, decoder, monkeypatch, made, complaint):
    """The shapes of the outputs are the same: only running the network tells."""
    red = np.full((1, detectors.SIDE, detectors.SIDE, 3), 255, np.uint8)
    red[:, 40:48, 50:60, 1:] = 0
    monkeypatch.setattr("model.detection.session.warm_up_inputs", lambda _: [red])
    path = detectors.write_bundle(tmp_path / "bundle", **made)
    detectors.change_manifest(path, detection=detectors.FORMS["ssd"])

    with pytest.raises(BundleError) as refusal:
        Detector(load_bundle(path), decoder).verify()
    assert complaint in str(refusal.value)


def test_a_bundle_is_opened_by_its_own_task_only(tmp_path, write_bundle, decoder):
    with pytest.raises(BundleError, match="reds@1 is no classifier"):
        Classifier(load_bundle(detectors.write_bundle(tmp_path / "bundle")), decoder)
    with pytest.raises(BundleError, match="colours@1 is no detector"):
        Detector(load_bundle(write_bundle()), decoder)


def test_labels_are_the_bundle_s(tmp_path, decoder):
    path = detectors.write_bundle(tmp_path / "bundle")
    (path / LABELS).write_text("Himmel\nRot\n")
    (outcome,) = Detector(load_bundle(path), decoder).predict([png((64, 64), (0, 0, 8, 8))])

    assert isinstance(outcome, Detection)
    assert outcome.objects == (DetectedObject("Rot", detectors.SCORE, 1, Box(0, 0, 8, 8)),)
    assert json.loads((path / MANIFEST).read_text())["classes"] == 2


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1.0),
        ((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3),
        ((0, 0, 2, 2), (2, 2, 4, 4), 0.0),
        ((0, 0, 2, 2), (5, 0, 6, 1), 0.0),
    ],
)
def test_overlap_is_intersection_over_union(one, other, expected):
    assert iou(one, other) == pytest.approx(expected)

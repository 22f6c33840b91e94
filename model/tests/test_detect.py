"""The command line for objects, run as users run it: as a process."""

from __future__ import annotations

import csv
import io
import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from model.detect import SIDES
from model.tests import detectors
from tests.pictures import odd, oriented
from tests.support import forks

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

RED, LIME, BLUE = (4, 4, 20, 20), (40, 4, 56, 20), (20, 40, 44, 60)  # in 64 x 64 pixels


def picture_with(**boxes: tuple[int, int, int, int]) -> Image.Image:
    """Grey, with boxes of the colours that the keywords name."""
    picture = Image.new("RGB", (64, 64), "#808080")
    for colour, box in boxes.items():
        picture.paste(Image.new("RGB", (box[2] - box[0], box[3] - box[1]), colour), box[:2])
    return picture


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return detectors.write_colours_bundle(tmp_path_factory.mktemp("models") / "colours")


@pytest.fixture
def detect(bundle):
    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {**os.environ, "MODEL_PATH": str(bundle), **environment}
        return forks.run("model.detect", *map(str, arguments), environment=settings, within_s=200)

    return run


@pytest.fixture
def folder(tmp_path):
    """A picture with three objects, one with none in a folder below, and a file that is no picture."""
    path = tmp_path / "pictures"
    (path / "more").mkdir(parents=True)
    picture_with(red=RED, lime=LIME, blue=BLUE).save(path / "a, b.png")
    picture_with().save(path / "more" / "grey.png")
    (path / "notes.txt").write_text("not looked at")
    return path


def test_a_folder_gives_a_table_of_the_objects_in_its_pictures(detect, folder):
    run = detect(folder)

    assert (run.returncode, run.stderr) == (0, "")
    unnamed = " " * len(f"{folder}/more/grey.png")
    assert run.stdout.splitlines() == [
        f"{folder}/a, b.png       0.7500  red    16 x 16 at 4, 4 of 64 x 64",
        f"{unnamed}  0.7500  green  16 x 16 at 40, 4 of 64 x 64",
        f"{unnamed}  0.7500  blue   24 x 20 at 20, 40 of 64 x 64",
        f"{folder}/more/grey.png  nothing",
    ]


def test_programs_get_what_the_route_answers(detect, folder):
    """The fields are those of /detect, and a picture without objects is told from one that was skipped."""
    (folder / "broken.png").write_bytes(b"none")
    run = detect(folder, "--labels", "blue,green", "--max-detections", 1, "--format", "json")

    assert run.returncode == 1
    assert run.stderr.startswith(f"skipped {folder}/broken.png: ")
    assert json.loads(run.stdout) == [
        {
            "picture": f"{folder}/a, b.png",
            "detections": [
                {
                    "label": "green",
                    "class_id": 1,
                    "confidence": 0.75,
                    "box": {"x": 40.0, "y": 4.0, "width": 16.0, "height": 16.0},
                }
            ],
            "image": {"width": 64, "height": 64},
        },
        {"picture": f"{folder}/more/grey.png", "detections": [], "image": {"width": 64, "height": 64}},
    ]


def test_spreadsheets_get_a_row_per_object_and_one_for_a_picture_without(detect, folder):
    run = detect(folder, "--labels", "red", "--format", "csv")

    assert list(csv.reader(io.StringIO(run.stdout))) == [
        ["picture", "rank", "label", "class_id", "confidence", *SIDES, "image_width", "image_height"],
        [f"{folder}/a, b.png", "1", "red", "0", "0.7500", "4.0", "4.0", "16.0", "16.0", "64", "64"],
        [f"{folder}/more/grey.png", "", "", "", "", "", "", "", "", "64", "64"],
    ]


def test_objects_of_which_the_model_is_less_sure_are_left_out(detect, folder):
    """By themselves those below 0.5; the network says 0.75 of all."""
    assert "red" in detect(folder, "--min-score", "0.75").stdout
    assert "red" not in detect(folder, "--min-score", "0.76").stdout


def test_a_damaged_picture_is_skipped_unless_it_is_wanted_all_the_same(detect, folder):
    whole = odd.encoded(picture_with(red=RED), "PNG", compress_level=0)
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])

    strict = detect(folder, "--labels", "red")
    table, rows = (detect(folder, "--labels", "red", "--no-strict", "--format", form) for form in ("table", "csv"))
    answers = json.loads(detect(folder, "--no-strict", "--format", "json").stdout)

    assert (strict.returncode, table.returncode) == (1, 0)
    assert strict.stderr.startswith(f"skipped {folder}/half.png: ")
    assert table.stdout.splitlines()[1].endswith("16 x 16 at 4, 4 of 64 x 64  (damaged)")
    assert [answer["damaged"] for answer in answers] == [False, True, False]
    assert [row["damaged"] for row in csv.DictReader(io.StringIO(rows.stdout))] == ["false", "true", "false"]


def colours_of(path: Path) -> set[tuple[int, ...]]:
    with Image.open(path) as picture:
        return set(map(tuple, np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0).tolist()))


def test_what_is_found_is_drawn_in_a_folder_and_the_answer_says_where(detect, folder, tmp_path):
    drawn = tmp_path / "drawn"
    (answer, other) = json.loads(detect(folder, "--draw", drawn, "--format", "json").stdout)

    assert answer["drawn"] == f"{drawn}/a, b.png.png"
    assert other["drawn"] == f"{drawn}/more/grey.png.png"
    line = (0, 158, 115)  # of the second class
    assert line in colours_of(drawn / "a, b.png.png")
    assert line not in colours_of(drawn / "more/grey.png.png")
    assert sorted(path.name for path in folder.iterdir()) == ["a, b.png", "more", "notes.txt"]


def test_every_form_of_answer_says_where_a_picture_is_drawn(detect, folder, tmp_path):
    table = detect(folder, "--labels", "red", "--draw", tmp_path / "1").stdout.splitlines()
    rows = list(csv.DictReader(io.StringIO(detect(folder, "--draw", tmp_path / "2", "--format", "csv").stdout)))

    assert [line.split("  ")[-1].strip() for line in table[1::2]] == [
        f"drawn: {tmp_path}/1/a, b.png.png",
        f"drawn: {tmp_path}/1/more/grey.png.png",
    ]
    assert [row["drawn"] for row in rows] == [f"{tmp_path}/2/a, b.png.png"] * 3 + [f"{tmp_path}/2/more/grey.png.png"]


def test_pictures_with_one_name_in_several_folders_are_drawn_in_several_places(detect, tmp_path):
    """Cameras number their pictures anew, and one picture may be there in two formats, or be named twice."""
    for name, colour in (("one/1.png", "red"), ("two/1.png", "blue"), ("two/1.bmp", "lime")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture_with(**{colour: RED}).save(tmp_path / name)

    drawn = tmp_path / "two/drawn"
    run = detect(tmp_path / "one", tmp_path / "two/../two/1.png", tmp_path / "two", "--draw", drawn)

    assert (run.returncode, run.stderr) == (0, "")
    places = ("one/1.png.png", "two/1.png.png", "two/1.bmp.png")
    assert sorted(path for path in drawn.rglob("*") if path.is_file()) == sorted(drawn / name for name in places)
    assert len({(drawn / name).read_bytes() for name in places}) == 3


def test_a_turned_picture_is_drawn_upright(detect, tmp_path):
    upright = picture_with(red=RED).resize((640, 640)).crop((0, 0, 640, 400))
    turned = oriented.jpeg_with(b"Exif\0\0" + oriented.exif(6), picture=upright.transpose(Image.Transpose.ROTATE_90))
    (tmp_path / "turned.jpg").write_bytes(turned)

    (answer,) = json.loads(detect(tmp_path / "turned.jpg", "--draw", tmp_path / "drawn", "--format", "json").stdout)

    assert answer["image"] == {"width": 640, "height": 400}
    with Image.open(tmp_path / "drawn" / "turned.jpg.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    height, width, _ = pixels.shape
    red, green, blue = pixels[height * 12 // 40, width * 12 // 64].tolist()
    assert width > height
    assert red > 200 > green + blue


def test_nothing_that_is_there_is_overwritten_by_a_drawn_picture(detect, tmp_path):
    """Before any work: half of a folder would be of another run than the other half."""
    for name in ("1.png", "2.png", "2.png.png"):
        picture_with(red=RED).save(tmp_path / name)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    run = detect(tmp_path / "1.png", tmp_path / "2.png", "--draw", tmp_path)

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == f"{tmp_path}/2.png.png is there already: name another folder with --draw\n"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_picture_that_can_not_be_drawn_is_told_and_the_others_are(detect, folder, tmp_path):
    """Its objects are told all the same."""
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    (drawn / "more").write_text("in the way")

    run = detect(folder, "--draw", drawn, "--format", "json")

    assert run.returncode == 1
    assert run.stderr == f"not drawn {folder}/more/grey.png: File exists\n"
    assert [answer["drawn"] for answer in json.loads(run.stdout)] == [f"{drawn}/a, b.png.png", None]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["contract"], "no pictures found"),
        ([], "required: FILE|FOLDER"),
        (["{folder}", "--top-k", "3"], "unrecognized arguments: --top-k 3"),
        (["{folder}", "--min-score", "0.05"], "colours@1 tells no object with a score below 0.1: --min-score is lower"),
        (["{folder}", "--min-score", "2"], "invalid number above 0 and at most 1 value: '2'"),
        (["{folder}", "--max-detections", "0"], "--max-detections must be at least 1"),
        (["{folder}", "--max-detections", "101"], "colours@1 tells at most 100 objects of a picture"),
        (["{folder}", "--labels", "gren"], "colours@1 has no label 'gren'; 'green' may be meant"),
        (["{folder}", "--draw", "{folder}/notes.txt"], "--draw {folder}/notes.txt: File exists"),
        (["{folder}", "--model", "/nowhere"], "no model at /nowhere"),
    ],
)
def test_what_can_not_be_done_is_one_clear_line(detect, folder, arguments, told):
    run = detect(*(argument.format(folder=folder) for argument in arguments))

    assert (run.returncode, run.stdout) == (2, "")
    assert told.format(folder=folder) in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr


def test_a_classifier_is_not_asked_for_objects(detect, folder, write_bundle):
    run = detect(folder, "--model", write_bundle())

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        "colours@1 is for classification, and not for detection: "
        "name another model with --model, or see python -m model.classify --help\n"
    )


def test_without_a_choice_it_is_the_first_detector_of_those_that_are_served(detect, folder, write_bundle, bundle):
    run = detect(folder, MODEL_PATH="", MODELS=f"{write_bundle()},{bundle}")

    assert (run.returncode, run.stderr) == (0, "")

"""``python -m model.patterns``, run as users run it: learn from good parts, then try pictures by what was learnt."""

from __future__ import annotations

import csv
import io
import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw

from contract.patterns.pattern import ExpectedObject, Pattern, PatternSet, RelativeBox
from contract.patterns.pattern_file import parse_patterns, read_pattern_file
from model.patterns.writing import text_of
from model.tests import detectors
from tests.support import forks

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

RED, GREEN, BLUE = (4, 4, 20, 20), (40, 4, 56, 20), (20, 40, 44, 60)  # in 64 x 64 pixels
PART = {"red": RED, "lime": GREEN, "blue": BLUE}


def part(path: Path, moved: tuple[int, int] = (0, 0), **changes: tuple[int, int, int, int] | None) -> None:
    """A picture of a part that lies elsewhere by ``moved``, and of which objects lie elsewhere, or are not there."""
    picture = Image.new("RGB", (64, 64), "#808080")
    for colour, box in (PART | changes).items():
        if box is not None:
            left, top, right, bottom = (side + moved[index % 2] for index, side in enumerate(box))
            ImageDraw.Draw(picture).rectangle((left, top, right - 1, bottom - 1), fill=colour)
    picture.save(path)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return detectors.write_colours_bundle(tmp_path_factory.mktemp("models") / "colours")


@pytest.fixture
def good(tmp_path):
    """Ten good parts, each of which lies a pixel at most beside the first."""
    folder = tmp_path / "good parts"
    folder.mkdir()
    for number in range(10):
        part(folder / f"{number}.png", moved=(number % 3 - 1, number % 2))
    return folder


@pytest.fixture
def patterns(bundle):
    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {**os.environ, "MODEL_PATH": str(bundle), **environment}
        return forks.run("model.patterns", *map(str, arguments), environment=settings, within_s=120)

    return run


@pytest.fixture
def plate(patterns, good, tmp_path):
    """A pattern file that was learnt from the ten."""
    run = patterns("learn", good, "-o", tmp_path / "plate.yaml")
    assert run.returncode == 0, run.stderr
    return tmp_path / "plate.yaml"


def test_good_parts_make_a_pattern_that_passes_them_and_neither_a_moved_nor_a_missing_object(
    patterns, plate, good, tmp_path
):
    tried = tmp_path / "tried"
    tried.mkdir()
    part(tried / "1 good.png")
    part(tried / "2 moved.png", blue=(14, 40, 38, 60))
    part(tried / "3 missing.png", lime=None)

    whole, run = patterns("evaluate", good, plate), patterns("evaluate", tried, plate)

    assert (whole.returncode, whole.stderr) == (0, "")
    assert whole.stdout.splitlines()[-1] == "10 of 10 pictures pass"
    assert (run.returncode, run.stderr) == (1, "")
    moved = "object 3 (blue) is out of place: left edge 0.053 too far left, right edge 0.053 too far left"
    assert run.stdout.splitlines() == [
        f"{tried}/1 good.png     good  good parts  3/3",
        f"{tried}/2 moved.png    bad   good parts  2/3  {moved}",
        f"{tried}/3 missing.png  bad   good parts  2/3  object 2 (green) is missing",
        "1 of 3 pictures pass",
    ]


def test_the_report_says_what_was_learnt_and_from_what(patterns, good, tmp_path):
    part(good / "odd.png", moved=(0, 1))
    run = patterns("learn", good, "-o", tmp_path / "plate.yaml", "--name", "plate", "--labels", "red,green")

    first, red, green, passing, written = run.stdout.splitlines()
    assert first == "plate, pattern plate: 2 objects, learnt from 11 pictures"
    assert red.startswith("   1 red: in 11, left 0.0")
    assert red.endswith(f"; an edge moved by 0.031, most between {good}/0.png and {good}/2.png")
    assert green.startswith("   2 green: in 11, ")
    assert passing == "11 of these 11 pictures pass"
    assert written.startswith(f"written: {tmp_path}/plate.yaml, and {tmp_path}/plate.png, drawn on {good}/")


def test_what_is_in_too_few_pictures_is_told_and_left_out(patterns, good, tmp_path):
    for number in range(3):
        part(good / f"{number}.png", blue=None)

    run = patterns("learn", good, "-o", tmp_path / "plate.yaml")
    all_the_same = patterns("learn", good, "-o", tmp_path / "blue.yaml", "--least-share", "0.7")

    assert run.returncode == all_the_same.returncode == 0
    assert f"   - blue: left out, only in 7, as {good}/3.png: [0." in run.stdout
    assert "10 of these 10 pictures pass" in run.stdout
    assert [expected.label for expected in read_pattern_file(tmp_path / "plate.yaml").patterns[0].objects] == [
        "red",
        "green",
    ]
    assert f"7 of these 10 pictures pass; not {good}/0.png, {good}/1.png, {good}/2.png" in all_the_same.stdout


def test_the_picture_shows_the_boxes_on_a_typical_part(plate):
    with Image.open(plate.with_suffix(".png")) as picture:
        drawn = np.asarray(picture.convert("RGB"))

    assert drawn.shape == (800, 800, 3)
    column = (drawn[420:540, 400] == (0, 158, 115)).all(axis=1)  # down through the upper edge of the blue object
    assert np.diff(column.astype(int)).tolist().count(1) == 2  # lines in its colour: how far it may reach, where it lay


def test_large_pictures_are_drawn_small_enough_to_look_at(patterns, tmp_path):
    folder = tmp_path / "large"
    folder.mkdir()
    for number in range(3):
        part(folder / f"{number}.png")
        with Image.open(folder / f"{number}.png") as picture:
            picture.resize((4000, 3000)).save(folder / f"{number}.jpg")
        (folder / f"{number}.png").unlink()
    assert (
        patterns("learn", folder, "-o", tmp_path / "plate.yaml", "--picture", tmp_path / "report.png").returncode == 0
    )

    with Image.open(tmp_path / "report.png") as picture:
        assert picture.size == (1600, 1200)
    assert not (tmp_path / "plate.png").exists()


def test_the_same_pictures_give_the_same_file(patterns, plate, good, tmp_path):
    patterns("learn", good, "-o", tmp_path / "again.yaml")

    assert (tmp_path / "again.yaml").read_bytes() == plate.read_bytes()
    assert (tmp_path / "again.png").read_bytes() == plate.with_suffix(".png").read_bytes()


def test_a_second_pattern_is_added_to_a_file_only_if_that_is_said(patterns, plate, good):
    before = plate.read_bytes()
    refused = patterns("learn", good, "-o", plate, "--name", "other")
    unchanged = plate.read_bytes()
    added = patterns("learn", good, "-o", plate, "--name", "other", "--add")
    replaced = patterns("learn", good, "-o", plate, "--name", "other", "--add", "--labels", "red")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"{plate} is there already; with --add the pattern becomes one more of it\n"
    assert unchanged == before
    assert added.returncode == replaced.returncode == 0
    found = read_pattern_file(plate)
    assert [(pattern.name, len(pattern.objects)) for pattern in found.patterns] == [("good parts", 3), ("other", 1)]


def test_a_picture_that_lies_beside_a_new_file_is_not_written_over(patterns, good, tmp_path):
    """It may be the only photo of the part."""
    photo = tmp_path / "plate.png"
    part(photo)
    before = photo.read_bytes()
    refused = patterns("learn", good, "-o", tmp_path / "plate.yaml", "--add")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"{photo} is there already, and not of this pattern: see --picture\n"
    assert photo.read_bytes() == before
    assert not (tmp_path / "plate.yaml").exists()


def test_who_names_no_least_score_gets_that_of_a_detector_with_a_higher_one(patterns, good, tmp_path):
    """It is the detector's floor that is above the usual one, and nobody's mistake."""
    strict = detectors.write_colours_bundle(tmp_path / "strict")
    detection = json.loads((strict / "model.json").read_text())["detection"]
    detectors.change_manifest(strict, detection=detection | {"min_score": 0.7})
    learnt = patterns("learn", good, "-o", tmp_path / "plate.yaml", MODEL_PATH=str(strict))
    tried = patterns("evaluate", good, tmp_path / "plate.yaml", MODEL_PATH=str(strict))

    assert (learnt.returncode, tried.returncode) == (0, 0), learnt.stderr + tried.stderr


def test_programs_get_json(patterns, plate, tmp_path):
    part(tmp_path / "moved.png", blue=(14, 40, 38, 60), red=None)
    run = patterns("evaluate", tmp_path / "moved.png", plate, "--format", "json")

    assert run.stderr == "0 of 1 pictures pass\n"
    (shown,) = json.loads(run.stdout)
    red, green, blue = shown.pop("objects")
    assert shown.pop("reasons")[0] == "object 1 (red) is missing"
    assert shown == {
        "picture": str(tmp_path / "moved.png"),
        "decision": False,
        "pattern": "good parts",
        "surplus": [],
    }
    assert red == {"class": "red", "state": "missing"}
    assert green == {"class": "green", "state": "found", "box": [0.625, 0.0625, 0.875, 0.3125]}
    assert (blue["state"], blue["box"]) == ("out of place", [0.2188, 0.625, 0.5938, 0.9375])
    assert blue["offset"]["left"] == blue["offset"]["right"] == pytest.approx(-0.053, abs=0.001)


def test_spreadsheets_get_csv(patterns, plate, tmp_path):
    part(tmp_path / "a, b.png", red=None)
    run = patterns("evaluate", tmp_path / "a, b.png", plate, "--format", "csv")

    assert list(csv.reader(io.StringIO(run.stdout))) == [
        ["picture", "decision", "pattern", "found", "expected", "surplus", "reasons"],
        [str(tmp_path / "a, b.png"), "bad", "good parts", "2", "3", "0", "object 1 (red) is missing"],
    ]


def test_a_picture_that_can_not_be_read_is_told_and_the_others_count(patterns, plate, good, tmp_path):
    (good / "broken.png").write_bytes((good / "1.png").read_bytes()[:60])

    tried = patterns("evaluate", good, plate)
    learnt = patterns("learn", good, "-o", tmp_path / "again.yaml")

    assert tried.returncode == learnt.returncode == 1
    assert tried.stderr.startswith(f"skipped {good}/broken.png: ")
    assert tried.stdout.splitlines()[-1] == "10 of 10 pictures pass"
    assert (tmp_path / "again.yaml").read_bytes() == plate.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["learn", "contract", "-o", "{tmp}/a.yaml"], "no pictures found"),
        (["learn", "{good}", "-o", "{tmp}/a.txt"], "a.txt: a pattern file's name ends in .yaml or .yml"),
        (["learn", "{good}", "-o", "{tmp}/_a.yaml"], "_a.yaml: a pattern's key begins with a letter or digit"),
        (["learn", "{good}", "-o", "{tmp}/a.yaml", "--name", ""], "'' can't be a pattern's name"),
        (["learn", "{good}", "-o", "{tmp}/gone/a.yaml"], "{tmp}/gone/.a.yaml.new: No such file or directory"),
        (["learn", "{good}", "-o", "{good}/a.yaml"], "a.png would be one more picture of a good part: see --picture"),
        (["learn", "{good}/1.png", "-o", "{tmp}/a.yaml"], "a pattern needs pictures of at least 3 good parts"),
        (["learn", "{good}", "-o", "{tmp}/a.yaml", "--labels", "rot"], "colours@1 has no label 'rot'"),
        (["learn", "{good}", "-o", "{tmp}/a.yaml", "--labels", "gren"], "has no label 'gren'; 'green' may be meant"),
        (["learn", "{good}", "-o", "{tmp}/a.yaml", "--min-score", "0.9"], "nothing was found in any"),
        (["learn", "{good}", "-o", "{tmp}/a.yaml", "--min-score", "0.05"], "tells no object with a score below 0.1"),
        (["learn", "{good}", "-o", "{tmp}/a.yaml", "--spread", "0"], "invalid number above 0 and at most 1 value: '0'"),
        (["learn", "{good}", "-o", "{tmp}/a.yaml", "--model", "/nowhere"], "no model at /nowhere"),
        (["learn", "{good}"], "the following arguments are required: -o/--output"),
        (["evaluate", "{good}", "{tmp}/gone.yaml"], "gone.yaml: it can't be read: No such file or directory"),
        (["evaluate", "{good}"], "the following arguments are required: FILE"),
        ([], "the following arguments are required: command"),
    ],
)
def test_what_can_not_be_done_is_one_clear_line_and_writes_nothing(patterns, good, tmp_path, arguments, told):
    places = {"good": good, "tmp": tmp_path}
    run = patterns(*(argument.format(**places) for argument in arguments))

    assert (run.returncode, run.stdout) == (2, "")
    assert told.format(**places) in run.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == [good]


def test_a_pattern_of_another_model_is_refused(patterns, good, tmp_path):
    (tmp_path / "plate.yaml").write_text("plate: [{label: bleu, inner: [0, 0, 1, 1], outer: [0, 0, 1, 1]}]")
    run = patterns("evaluate", good, tmp_path / "plate.yaml")

    assert run.returncode == 2
    assert run.stderr == "plate: plate, object 1: the model has no label 'bleu'; 'blue' may be meant\n"


def test_the_first_detector_of_those_that_are_served_is_taken(patterns, write_bundle, bundle, good, tmp_path):
    classifier = write_bundle()
    several = patterns("learn", good, "-o", tmp_path / "a.yaml", MODEL_PATH="", MODELS=f"{classifier},{bundle}")
    none = patterns("learn", good, "-o", tmp_path / "b.yaml", MODEL_PATH=str(classifier))

    assert several.returncode == 0
    assert none.returncode == 2
    assert none.stderr.startswith(
        "colours@1 is for classification, and not for detection: name another model with --model"
    )


@pytest.mark.parametrize(
    "name", ["plain", "no", "1", "~", "a: b", "it's", 'say "so"', "# 7", "é ü 部", "\\n", "[x]", "*a"]
)
def test_whatever_a_pattern_and_a_label_are_called_the_file_is_read_as_it_was_meant(name):
    box = RelativeBox(0.1234, 0.0, 0.5, 1.0)
    objects = (ExpectedObject(box, box, label=name), ExpectedObject(box, box, class_id=3))
    patterns = PatternSet("key", (Pattern(name, objects), Pattern(f"{name} 2", objects)))

    assert parse_patterns("key", text_of(patterns, "first\nsecond"), "key.yaml") == patterns

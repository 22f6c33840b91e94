"""The command line, run as users run it: as a process."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from model.tests import detectors, networks
from tests.pictures import odd
from tests.support import forks

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    """Two pictures, one in a folder below, and a file that is none."""
    path = tmp_path / "pictures"
    (path / "more").mkdir(parents=True)
    (path / "a red, one.png").write_bytes(odd.encoded(Image.new("RGB", (50, 50), "#ff1000"), "PNG"))
    (path / "more" / "blue.JPG").write_bytes(odd.encoded(Image.new("RGB", (50, 50), "#1000ff"), "JPEG"))
    (path / "notes.txt").write_text("not looked at")
    return path


@pytest.fixture
def classify(write_bundle):
    bundle = write_bundle()

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {**os.environ, "MODEL_PATH": str(bundle), **environment}
        return forks.run("model.classify", *map(str, arguments), environment=settings, within_s=120)

    return run


def test_a_folder_gives_a_table_of_its_pictures(classify, folder):
    run = classify(folder, "--top-k", 2)

    assert run.returncode == 0
    assert run.stderr == ""
    lines = [line.removeprefix(str(folder)).split() for line in run.stdout.splitlines()]
    assert lines == [
        ["/a", "red,", "one.png", "1.0000", "red"],
        ["0.0627", "green"],
        ["/more/blue.JPG", "1.0000", "blue"],
        ["0.0627", "red"],
    ]


def test_csv_has_a_row_per_label_that_a_csv_reader_reads(classify, folder):
    strange = folder / 'quoted "name",\nwith a new line.png'
    (folder / "a red, one.png").rename(strange)

    run = classify(folder, "--format", "csv", "--top-k", 2)

    rows = list(csv.reader(io.StringIO(run.stdout)))
    assert rows[0] == ["picture", "rank", "label", "score"]
    assert rows[3:] == [[str(strange), "1", "red", "1.000000"], [str(strange), "2", "green", "0.062745"]]


def test_json_is_an_array_of_pictures_with_their_predictions(classify, folder):
    run = classify(folder / "a red, one.png", "--format", "json", "--top-k", 1)

    assert json.loads(run.stdout) == [
        {"picture": str(folder / "a red, one.png"), "predictions": [{"label": "red", "score": 1.0}]}
    ]


def test_a_bad_file_is_reported_and_the_others_are_classified(classify, folder):
    (folder / "broken.jpg").write_bytes(odd.truncated_jpeg())

    run = classify(folder, folder / "gone.png", folder / "notes.txt", "--format", "json")

    assert run.returncode == 1
    assert len(json.loads(run.stdout)) == 2
    assert [line.split(": ")[0] for line in run.stderr.splitlines()] == [
        f"skipped {folder}/{name}" for name in ("gone.png", "broken.jpg", "notes.txt")
    ]


@pytest.fixture
def half(folder):
    """A third picture, blue, cut in half."""
    whole = odd.encoded(Image.new("RGB", (50, 50), "#1000ff"), "PNG", compress_level=0)
    path = folder / "half.png"
    path.write_bytes(whole[: len(whole) // 2])
    return path


def test_a_damaged_picture_is_skipped_unless_it_is_wanted_all_the_same(classify, folder, half):
    strict, lenient = classify(folder, "--top-k", 1), classify(folder, "--top-k", 1, "--no-strict")

    assert strict.returncode == 1
    assert strict.stderr.startswith(f"skipped {half}: ")
    assert "(damaged)" not in strict.stdout
    assert lenient.returncode == 0
    assert lenient.stderr == ""
    assert [line.split()[-2:] for line in lenient.stdout.splitlines()] == [
        ["1.0000", "red"],
        ["blue", "(damaged)"],
        ["1.0000", "blue"],
    ]


def test_a_program_is_told_of_every_picture_whether_it_is_damaged(classify, folder, half):
    """But only if it asked for damaged ones: for all others the columns and fields are as before."""
    answers = json.loads(classify(folder, "--top-k", 1, "--no-strict", "--format", "json").stdout)
    rows = list(csv.reader(io.StringIO(classify(folder, "--top-k", 1, "--no-strict", "--format", "csv").stdout)))

    assert [list(answer) for answer in answers] == [["picture", "predictions", "damaged"]] * 3
    assert [answer["damaged"] for answer in answers] == [False, True, False]
    assert rows[0] == ["picture", "rank", "label", "score", "damaged"]
    assert [row[4] for row in rows[1:]] == ["false", "true", "false"]
    assert rows[2][0] == str(half)


@pytest.mark.parametrize("picture_format", ["table", "json", "csv"])
def test_only_bad_files_give_an_empty_answer_and_a_code(classify, folder, picture_format):
    run = classify(folder / "notes.txt", "--format", picture_format)

    assert run.returncode == 1
    assert run.stdout == {"table": "", "json": "[]\n", "csv": "picture,rank,label,score\n"}[picture_format]


def test_more_pictures_than_one_batch_are_all_answered(classify, tmp_path):
    for number in range(19):
        (tmp_path / f"{number:02}.png").write_bytes(
            odd.encoded(Image.new("RGB", (9, 9), (number * 13, 255 - number * 13, 0)), "PNG")
        )

    answers = json.loads(classify(tmp_path, "--format", "json", "--top-k", 1).stdout)

    assert [answer["predictions"][0]["label"] for answer in answers] == ["green"] * 10 + ["red"] * 9
    assert [Path(answer["picture"]).name for answer in answers] == [f"{number:02}.png" for number in range(19)]


def test_a_bare_onnx_file_is_used_with_labels_path(classify, folder, tmp_path):
    networks.write_float_network(tmp_path / "net.onnx")
    (tmp_path / "labels.txt").write_text("rouge\nvert\nbleu\n")

    run = classify(
        folder, "--model", tmp_path / "net.onnx", "--format", "json", LABELS_PATH=str(tmp_path / "labels.txt")
    )

    assert [answer["predictions"][0]["label"] for answer in json.loads(run.stdout)] == ["rouge", "bleu"]


@pytest.fixture
def several(tmp_path, write_bundle):
    """A folder of models: one of them has two versions, with other words for what they see."""
    for folder, words, manifest in (
        ("colours", ("red", "green", "blue"), {"name": "colours"}),
        ("old", ("rot", "gruen", "blau"), {"name": "farben"}),
        ("new", ("Rot", "Gruen", "Blau"), {"name": "farben", "version": "2"}),
    ):
        bundle = write_bundle(f"several/{folder}", **manifest)
        (bundle / "labels.txt").write_text("\n".join(words) + "\n")
    return tmp_path / "several"


@pytest.mark.parametrize(
    ("model", "best"),
    [("colours", "red"), ("farben", "Rot"), ("farben@1", "rot"), ("farben@2", "Rot"), ("{folder}/old", "rot")],
)
def test_one_of_several_models_is_chosen_by_its_name_or_its_path(classify, folder, several, model, best):
    """A name means its newest version; whatever the environment says of one model does not count then."""
    named = model.format(folder=several)
    run = classify(folder / "a red, one.png", "--top-k", 1, "--model", named, MODELS_DIR=str(several))

    assert run.stderr == ""
    assert run.stdout.split()[-1] == best


def test_without_a_choice_it_is_the_first_that_a_worker_would_serve(classify, folder, several):
    environment = {"MODEL_PATH": "", "MODELS": "farben@1,colours", "MODELS_DIR": str(several)}

    assert classify(folder / "a red, one.png", "--top-k", 1, **environment).stdout.split()[-1] == "rot"


def test_a_detector_is_not_asked_for_labels(classify, folder, tmp_path):
    """Instead of a traceback about labels that there are not."""
    run = classify(folder, "--model", detectors.write_bundle(tmp_path / "detector"))

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        "reds@1 is for detection, and not for classification: "
        "name another model with --model, or see python -m model.detect --help\n"
    )


def test_a_model_that_is_not_there_is_told_with_those_that_are(classify, folder, several):
    run = classify(folder, "--model", "colors", MODELS_DIR=str(several))

    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr == (f"there is no model colors in {several}: it holds colours@1, farben@1, farben@2\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--model", "/nowhere", "tests/pictures"], "no model at /nowhere"),
        (["contract"], "no pictures found"),
        (["--top-k", "0", "tests/pictures"], "--top-k must be at least 1"),
        ([], "required: FILE|FOLDER"),
    ],
)
def test_without_work_or_a_model_one_clear_line_says_so(classify, arguments, complaint):
    run = classify(*arguments)

    assert run.returncode == 2
    assert complaint in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr


def test_the_queues_settings_are_nothing_to_the_command_line(classify, folder):
    """It needs no Redis, whatever a shell says of one."""
    assert classify(folder, REDIS_URL="redis-cluster").returncode == 0


def test_a_picture_above_max_pixels_is_skipped(classify, folder):
    """They have 2,500."""
    assert classify(folder, MAX_PIXELS="2500").returncode == 0

    run = classify(folder, MAX_PIXELS="2499")

    assert run.returncode == 1
    assert run.stderr.count("the picture is too large: it has more than 2499 pixels") == 2


def test_a_wrong_setting_ends_the_run_with_one_line_that_names_it(classify, folder):
    run = classify(folder, MAX_PIXELS="many")

    assert run.returncode == 2
    assert run.stderr.startswith("MAX_PIXELS='many': ")
    assert run.stderr.count("\n") == 1


def tiff_of_two_sizes(stated: tuple[int, int], decoded: tuple[int, int]) -> bytes:
    """White; the sizes are tags 256 and 257, of which libtiff takes the first and other readers the last."""
    data = b"\xff" * (decoded[0] * decoded[1])
    plain = [(258, 8), (259, 1), (262, 1), (273, 8 + 2 + 10 * 12 + 4), (278, decoded[1]), (279, len(data))]
    entries = [(256, decoded[0]), (257, decoded[1]), *plain, (256, stated[0]), (257, stated[1])]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4) + data


def test_of_two_sizes_in_a_file_the_one_that_decoders_take_is_held_against_the_limit(classify, tmp_path):
    """It may read a file in another way than we do, and then it alone knows what the file will cost."""
    (tmp_path / "two sizes.tiff").write_bytes(tiff_of_two_sizes(stated=(10, 10), decoded=(400, 300)))

    assert classify(tmp_path).returncode == 0

    run = classify(tmp_path, MAX_PIXELS="119999")

    assert run.returncode == 1
    assert "the picture is too large: it has more than 119999 pixels" in run.stderr


def test_a_reader_that_leaves_early_ends_the_run_quietly(write_bundle, tmp_path):
    """``| head -1`` is how one looks at the first line."""
    picture = odd.encoded(Image.new("RGB", (9, 9)), "PNG")
    for number in range(2000):
        (tmp_path / f"{number}.png").write_bytes(picture)

    command = [sys.executable, "-m", "model.classify", str(tmp_path), "--model", str(write_bundle())]
    run = subprocess.run(
        ["bash", "-c", '"$@" | head -1', "bash", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert len(run.stdout.splitlines()) == 1
    assert run.stderr == ""


def test_ctrl_c_ends_the_run_without_a_traceback(write_bundle, tmp_path):
    picture = odd.encoded(Image.new("RGB", (99, 99)), "PNG")
    for number in range(3000):
        (tmp_path / f"{number}.png").write_bytes(picture)
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "model.classify", str(tmp_path), "--model", str(write_bundle())],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        run.stdout.readline()
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=60)

    assert run.returncode == 130
    assert errors == ""

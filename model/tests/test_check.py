"""The command that checks a model, line by line."""

from __future__ import annotations

import hashlib
import json

import pytest
from PIL import Image

from model.bundle import LABELS, MANIFEST, MODEL
from model.check import main
from model.tests import detectors, networks
from tests.pictures import odd


@pytest.fixture
def check(capsys):
    def run(*arguments: object) -> tuple[int, list[str]]:
        code = main([str(argument) for argument in arguments])
        return code, capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def blue(tmp_path):
    path = tmp_path / "a blue one.png"
    path.write_bytes(odd.encoded(Image.new("RGB", (50, 50), "#1000ff"), "PNG"))
    return path


def test_a_sound_bundle_is_all_right_and_shows_what_it_makes_of_pictures(check, write_bundle, blue):
    path = write_bundle(golden={"file": "golden.png", "label": "blue"})
    (path / "golden.png").write_bytes(blue.read_bytes())
    manifest = json.loads((path / MANIFEST).read_text())
    manifest["files"] = {MODEL: hashlib.sha256((path / MODEL).read_bytes()).hexdigest()}
    (path / MANIFEST).write_text(json.dumps(manifest))
    code, said = check(path, blue)

    assert code == 0
    assert [line.split()[:2] for line in said] == [
        ["ok", "manifest"], ["ok", "files"], ["ok", "labels"], ["ok", "network"], ["note", "output"], ["ok", "golden"],
        ["ok", "picture"],
    ]  # fmt: skip
    assert said[1].endswith("as their checksums say: model.onnx")
    assert said[-2].endswith("golden.png is blue, 1.0000")
    assert said[-1].endswith(f"{blue}: blue 1.0000, red 0.0627, green 0.0000")


def test_every_fault_of_a_manifest_is_a_line(check, write_bundle):
    code, said = check(write_bundle(classes=0, input={"width": "wide"}))

    assert code == 1
    assert said == [
        "WRONG  files     model.json: input.width: must be a whole number, not 'wide'",
        "WRONG  files     model.json: classes: must be above 0, not 0",
    ]


def test_what_only_the_running_network_shows_is_a_fault_too(check, write_bundle):
    path = write_bundle()
    networks.write_uint8_network(path / MODEL, factor=1)
    code, said = check(path)

    assert code == 1
    assert said[-1].startswith("WRONG  output    model.onnx: its output has values from 0 to 1")
    assert 'write "kind": "logits"' in said[-1]


@pytest.mark.parametrize(("softmax", "said_of_it"), [(True, "no softmax is applied"), (False, "softmax is applied")])
def test_of_a_bare_file_it_is_said_what_its_output_is_taken_for(check, tmp_path, softmax, said_of_it):
    networks.write_float_network(tmp_path / "net.onnx", softmax=softmax)
    (tmp_path / LABELS).write_text("red\ngreen\nblue\n")
    code, said = check(tmp_path / "net.onnx", "--labels", tmp_path / LABELS)

    assert code == 0
    assert said[0].startswith("note   manifest  net (fp32)")
    (output,) = [line for line in said if line.split()[1] == "output"]
    assert output.startswith("ok ")
    assert output.endswith(said_of_it)


def test_of_a_detector_it_is_said_what_it_finds_and_where(check, tmp_path):
    picture = Image.new("RGB", (640, 320), "white")
    picture.paste((255, 0, 0), (100, 50, 300, 150))
    path = detectors.write_bundle(tmp_path / "detector")
    picture.save(path / "golden.png")
    golden = {"file": "golden.png", "objects": [{"label": "red", "box": [100, 50, 300, 150]}]}
    detectors.change_manifest(path, golden=golden)
    Image.new("RGB", (64, 64), "white").save(tmp_path / "white.png")
    code, said = check(path, path / "golden.png", tmp_path / "white.png")

    assert code == 0
    assert [line.split()[1] for line in said] == [
        "manifest", "files", "labels", "network", "output", "golden", "picture", "picture",
    ]  # fmt: skip
    assert said[4] == "ok     output    4 rows with scores from 0 to 0.75, of the form ssd"
    assert said[5] == "ok     golden    golden.png has red, 0.7500"
    assert said[6].endswith("golden.png: red 0.7500 at [100, 50, 300, 150]; 1 object in 640 x 320 pixels")
    assert said[7].endswith("white.png: nothing; 0 objects in 64 x 64 pixels")


def test_a_detector_that_misses_its_golden_objects_is_a_fault(check, tmp_path):
    path = detectors.write_bundle(tmp_path / "detector")
    Image.new("RGB", (64, 64), "white").save(path / "golden.png")
    golden = {"file": "golden.png", "objects": [{"label": "red", "box": [1, 2, 3, 4]}]}
    detectors.change_manifest(path, golden=golden)
    code, said = check(path)

    assert code == 1
    assert said[-1] == (
        "WRONG  golden    golden.png: the manifest expects red at [1, 2, 3, 4], but the model finds nothing"
    )


def test_a_picture_that_is_none_is_a_fault_and_the_others_are_shown(check, write_bundle, blue, tmp_path):
    (tmp_path / "text.jpg").write_bytes(odd.text_as_jpeg())
    code, said = check(write_bundle(), tmp_path / "text.jpg", tmp_path / "gone.jpg", blue)

    assert code == 1
    assert [line.split()[0] for line in said[-3:]] == ["WRONG", "WRONG", "ok"]


def test_no_model_is_one_line(check, tmp_path):
    assert check(tmp_path / "nowhere") == (1, [f"WRONG  files     no model at {tmp_path / 'nowhere'}"])

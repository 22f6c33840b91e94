"""docs/bring-your-own-model.md does what it says: its manifest and its bare file, on networks of that shape."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from model.bundle import LABELS, MANIFEST, MODEL, load_bundle
from model.classifier import Classifier
from model.detection.spec import EndToEndSpec, SsdSpec, YoloSpec
from model.export.ssdlite_mobilenetv2.network import SSDLITE_MOBILENETV2
from model.manifest import Golden, Manifest, PreprocessSpec
from model.picture import Picture
from model.tests import networks
from tests.pictures import odd

PAGE = Path(__file__).parents[2] / "docs" / "bring-your-own-model.md"
LABEL_LINES = "".join(f"n{number:08} label {number}\n" for number in range(1000))


@pytest.fixture
def zoo_network(tmp_path):
    """Input, output and shapes of ``resnet50-v2-7.onnx``; its first three classes are red, green and blue."""
    folder = tmp_path / "resnet50-v2-zoo"
    folder.mkdir()
    networks.write_float_network(folder / MODEL, side=224, classes=1000, factor=10, output="resnetv24_dense0_fwd")
    return folder


@pytest.fixture
def classify(decoder):
    """Gives the outcomes of three plain pictures."""
    pictures = [
        Picture(odd.encoded(Image.new("RGB", (640, 480), colour), "JPEG")) for colour in ("red", "lime", "blue")
    ]
    return lambda bundle: Classifier(bundle, decoder, top_k=1).predict(pictures)


def test_the_documented_manifest_serves_the_network_it_was_written_for(zoo_network, classify):
    manifest, *_ = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (zoo_network / MANIFEST).write_text(manifest)
    (zoo_network / LABELS).write_text(LABEL_LINES)

    outcomes = classify(load_bundle(zoo_network))

    assert [outcome.labels[0].label for outcome in outcomes] == [f"n{number:08} label {number}" for number in range(3)]
    assert [outcome.model for outcome in outcomes] == ["resnet50-v2-zoo"] * 3


def test_the_same_network_bare_with_labels_path_gives_the_same_answers(zoo_network, classify, tmp_path):
    """The standard manifest is the documented one, but for the name."""
    (zoo_network / MANIFEST).write_text(re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)[0])
    (zoo_network / LABELS).write_text(LABEL_LINES)
    bare, labels = tmp_path / "resnet50-v2-7.onnx", tmp_path / "synset.txt"
    bare.write_bytes((zoo_network / MODEL).read_bytes())
    labels.write_text(LABEL_LINES)

    with_manifest = classify(load_bundle(zoo_network))
    without = classify(load_bundle(bare, labels))

    assert [outcome.labels for outcome in without] == [outcome.labels for outcome in with_manifest]
    assert {outcome.model for outcome in without} == {"resnet50-v2-7"}


def test_the_documented_detection_is_that_of_the_detector_that_the_project_builds():
    _, detection, golden = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)

    assert json.loads(detection) == SSDLITE_MOBILENETV2.answers.described["detection"]
    assert Golden.model_validate_json(golden).objects[0].label == "cat"


def test_every_field_of_the_manifest_is_documented():
    fields = set(re.findall(r"`([a-z_.]+)`", " ".join(re.findall(r"^\| (.*?) \|", PAGE.read_text(), re.MULTILINE))))
    named = {field.split(".")[-1] for field in fields}

    fields_of_manifest = {info.alias or name for name, info in Manifest.model_fields.items()} - {"preprocess"}
    of_detectors = {field for form in (SsdSpec, YoloSpec, EndToEndSpec) for field in form.model_fields}

    assert fields_of_manifest | set(PreprocessSpec.model_fields) - {"shorter_side"} | of_detectors <= named

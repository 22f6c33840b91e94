"""Triton's own client, as it comes from PyPI, against a real service with two models."""

from __future__ import annotations

import json
import shutil
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from model.bundle import LABELS, MANIFEST
from model.tests import detectors
from tests.conftest import PICTURES
from tests.pictures.odd import encoded
from tests.support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

CAT, ROCKET = ((PICTURES / name).read_bytes() for name in ("chelsea.jpg", "rocket.jpg"))
EGYPTIAN, TABBY, TIGER = 285, 281, 282  # classes of ImageNet


@pytest.fixture(scope="module")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ResNet-50, the same network to which three kinds of cats are but cats, and a detector of what is red."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(models / "resnet50-int8", folder / "resnet50@1")
    coarse = shutil.copytree(models / "resnet50-int8", folder / "coarse@7")
    labels = (coarse / LABELS).read_text().splitlines()
    for index in (EGYPTIAN, TABBY, TIGER):
        labels[index] = "cat"
    (coarse / LABELS).write_text("".join(f"{label}\n" for label in labels))
    manifest = json.loads((coarse / MANIFEST).read_text()) | {"name": "coarse", "version": "7"}
    manifest["golden"]["label"] = "cat"
    manifest["files"][LABELS] = sha256((coarse / LABELS).read_bytes()).hexdigest()
    (coarse / MANIFEST).write_text(json.dumps(manifest, indent=2))
    detectors.write_bundle(folder / "reds")
    return folder


@pytest.fixture(scope="module")
def stack(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {"MODELS": "resnet50,coarse,reds", "MODELS_DIR": str(folder), "WORKERS": "1"}
    with Stack(tmp_path_factory.mktemp("stack"), **settings) as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


@pytest.fixture
def client(stack: Stack) -> Iterator[Any]:
    with InferenceServerClient(stack.url.removeprefix("http://")) as client:
        yield client


def pictures(*files: bytes, binary: bool = True, name: str = "image") -> list[Any]:
    """The one input, as a batch."""
    elements = list(files) if binary else [b64encode(file) for file in files]
    tensor = InferInput(name, [len(files), 1], "BYTES")
    tensor.set_data_from_numpy(np.array(elements, object).reshape(-1, 1), binary_data=binary)
    return [tensor]


def test_the_server_and_its_models_are_live_and_ready(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("resnet50")
    assert client.is_model_ready("coarse", "7")
    assert not client.is_model_ready("coarse", "1")
    assert not client.is_model_ready("nobody")


def test_metadata_say_what_a_model_takes_and_gives(client):
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data", "classification"]
    told = client.get_model_metadata("coarse")
    assert (told["name"], told["versions"]) == ("coarse", ["7"])
    assert told["inputs"] == [
        {"name": "image", "datatype": "BYTES", "shape": [-1], "parameters": {"content_type": "base64"}}
    ]
    assert told["outputs"] == [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "labels", "datatype": "BYTES", "shape": [-1, 3]},
    ]


@pytest.mark.parametrize("binary", [True, False])
def test_pictures_in_either_form_have_the_same_answer(client, binary):
    outputs = [InferRequestedOutput(name, binary_data=binary) for name in ("probabilities", "labels")]
    answer = client.infer("resnet50", pictures(CAT, ROCKET, binary=binary), request_id="42", outputs=outputs)
    probabilities, labels = answer.as_numpy("probabilities"), answer.as_numpy("labels")

    assert {name: answer.get_response()[name] for name in ("id", "model_name", "model_version")} == {
        "id": "42",
        "model_name": "resnet50",
        "model_version": "1",
    }
    assert (probabilities.shape, probabilities.dtype) == ((2, 3), np.float32)
    assert (np.diff(probabilities, axis=1) <= 0).all()
    best = [label.decode() if binary else label for label in labels[:, 0]]
    assert best == ["Egyptian_cat", "missile"]


def test_without_outputs_all_come_in_binary(client):
    answer = client.infer("resnet50", pictures(CAT, name="any"))

    assert answer.as_numpy("labels")[0, 0] == b"Egyptian_cat"
    assert answer.as_numpy("probabilities")[0, 0] > 0.5
    assert "data" not in answer.get_output("labels")


def test_classes_are_told_apart_by_their_index_where_their_labels_are_the_same(client):
    outputs = [InferRequestedOutput("probabilities", class_count=3)]
    answer = client.infer("coarse", pictures(CAT), outputs=outputs)
    (found,) = answer.as_numpy("probabilities")
    values, indices, labels = zip(*(text.decode().split(":") for text in found), strict=True)

    assert labels == ("cat", "cat", "cat")
    assert set(indices) == {str(EGYPTIAN), str(TABBY), str(TIGER)}
    assert indices[0] == str(EGYPTIAN)
    assert sorted(map(float, values), reverse=True) == list(map(float, values))


def red_at(*boxes: tuple[int, int, int, int]) -> list[bytes]:
    """Pictures of 128 x 64 pixels, grey, with a red box each."""
    pictures = []
    for left, top, right, bottom in boxes:
        picture = Image.new("RGB", (128, 64), "#808080")
        picture.paste((255, 0, 0), (left, top, right, bottom))
        pictures.append(encoded(picture, "PNG"))
    return pictures


def test_a_detectors_metadata_say_that_it_gives_objects(client):
    assert client.get_model_metadata("reds")["outputs"] == [
        {"name": "boxes", "datatype": "FP32", "shape": [-1, 4]},
        {"name": "scores", "datatype": "FP32", "shape": [-1]},
        {"name": "labels", "datatype": "BYTES", "shape": [-1]},
        {"name": "class_ids", "datatype": "INT64", "shape": [-1]},
        {"name": "counts", "datatype": "INT64", "shape": [-1]},
    ]


def test_a_detector_answers_with_the_objects_of_each_picture(client):
    """Of which the second has none."""
    files = red_at((20, 10, 60, 50), (0, 0, 0, 0), (64, 0, 128, 64))
    answer = client.infer("reds", pictures(*files), parameters={"min_score": 0.5, "labels": "red"})
    none = client.infer("reds", pictures(*files), parameters={"min_score": 0.8})

    assert answer.as_numpy("counts").tolist() == [1, 0, 1]
    assert answer.as_numpy("boxes") == pytest.approx(np.array([[20, 10, 60, 50], [64, 0, 128, 64]]))
    assert answer.as_numpy("scores").tolist() == [0.75, 0.75]
    assert answer.as_numpy("labels").tolist() == [b"red", b"red"]
    assert (answer.as_numpy("class_ids").tolist(), answer.as_numpy("class_ids").dtype) == ([1, 1], np.int64)
    assert (none.as_numpy("boxes").shape, none.as_numpy("counts").tolist()) == ((0, 4), [0, 0, 0])


def test_a_version_may_be_named(client):
    named = client.infer("coarse", pictures(CAT), model_version="7").get_response()

    assert (named["model_name"], named["model_version"]) == ("coarse", "7")


def floats() -> list[Any]:
    tensor = InferInput("image", [1, 3], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 3), np.float32))
    return [tensor]


@pytest.mark.parametrize(
    ("model", "asked", "status", "words"),
    [
        ("resnet50", {"inputs": floats()}, "400", "the input's datatype is 'FP32'"),
        ("resnet50", {"inputs": pictures(CAT) * 2}, "400", "one input is taken, and the request has 2"),
        ("resnet50", {"inputs": pictures(*[CAT] * 33)}, "400", "at most 32 pictures are taken at once"),
        (
            "resnet50",
            {"inputs": pictures(CAT, CAT[:500])},
            "422",
            "picture 2 of 2: the picture is damaged or cut short",
        ),
        ("resnet50", {"inputs": pictures(b"text")}, "415", "the file is not a picture in a supported format"),
        (
            "resnet50",
            {"inputs": pictures(CAT), "outputs": [InferRequestedOutput("scores")]},
            "400",
            "there is no output 'scores'",
        ),
        ("resnet50", {"inputs": pictures(CAT), "model_version": "9"}, "404", "there is no model resnet50@9"),
        (
            "reds",
            {"inputs": pictures(CAT), "parameters": {"labels": "rot"}},
            "400",
            "labels: reds@1 has no label 'rot'",
        ),
        ("nobody", {"inputs": pictures(CAT)}, "404", "there is no model nobody"),
        (
            "resnet50",
            {"inputs": pictures(CAT), "request_compression_algorithm": "gzip"},
            "415",
            "the body is compressed",
        ),
    ],
    ids=[
        *("floats", "two inputs", "too many", "cut short", "a text"),
        *("no such output", "no such version", "no such object", "no such model", "compressed"),
    ],
)
def test_what_is_refused_is_an_error_of_the_client_with_the_services_words(client, model, asked, status, words):
    with pytest.raises(InferenceServerException) as refused:
        client.infer(model, **asked)

    assert refused.value.status() == status
    assert words in refused.value.message()

"""The routes of the Open Inference Protocol, with a fake inference that sees a cat in every picture."""

from __future__ import annotations

import json
import struct
import zlib
from base64 import b64encode
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from api.app import create_app
from api.core.errors import NoWorker, Overloaded, Undecodable, UnknownModel
from api.core.labels import LabelList, ObjectBounds
from api.services import Services
from api.settings import Settings
from api.tests.test_infer import OTHER, PHOTO, CatInference
from contract.errors import DeadlineExceeded
from contract.messages import Box, Classification, DetectedObject, Detection, DetectJob, Label, Timings
from contract.model_task import ModelTask
from contract.model_version import ModelVersion, WantedModel

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from api.core.client import Client
    from api.core.inference import Answer

INFER = "/v2/models/cats/infer"
LABELS = (Label("Egyptian_cat", 0.75, 285), Label("tabby", 0.125, 281), Label("lynx", 0.0625, 287))
LENGTH = "Inference-Header-Content-Length"


class IndexedCats(CatInference):
    """Says which classes it saw, unless it is ``old``."""

    def __init__(self) -> None:
        super().__init__()
        self.old = False
        self.busy: Overloaded | None = None

    def admit(self, _task: ModelTask, model: WantedModel | None = None) -> None:
        if self.busy is not None:
            raise self.busy
        if model is not None and model.name == "nobody":
            raise UnknownModel("there is no model nobody; there are cats@7")

    def infer(self, image: bytes, *args: Any) -> Answer[Classification]:
        answer = super().infer(image, *args)
        labels = tuple(replace(label, index=None) for label in LABELS) if self.old else LABELS
        return replace(answer, found=Classification("cats", "d" * 64, labels, Timings(1.0, 2.0), version="7"))


class CatsAwake:
    """Live workers of one version, the current one."""

    def pool(self, model: WantedModel | None = None, _task: ModelTask | None = None) -> Any:
        if model is not None and model.name == "asleep":
            raise NoWorker("no worker of asleep@1 is ready", 5)
        return SimpleNamespace(version=ModelVersion("cats", "7"))


@pytest.fixture
def inference() -> IndexedCats:
    return IndexedCats()


@pytest.fixture
def services(inference: IndexedCats, tmp_path: Path) -> Services:
    settings = Settings(
        redis_url=f"unix://{tmp_path}/no-redis",
        upload_dir=tmp_path,
        copies_dir=tmp_path / "copies",
        feedback_dir=tmp_path,
        max_upload_mb=1,
        max_batch_files=4,
        top_k=2,
        mb_per_day=1,
    )
    parts: dict[str, Any] = {"inference": inference, "live_workers": CatsAwake()}
    return replace(Services.connect(settings), **parts)


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


def in_json(*pictures: bytes, **fields: Any) -> dict[str, Any]:
    data = [b64encode(picture).decode() for picture in pictures]
    return {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [len(pictures)], "data": data}], **fields}


def post_json(client: FlaskClient, *pictures: bytes, path: str = INFER, **fields: Any) -> TestResponse:
    return client.post(path, json=in_json(*pictures, **fields))


def post_binary(client: FlaskClient, *pictures: bytes, path: str = INFER, **fields: Any) -> TestResponse:
    data = b"".join(struct.pack("<I", len(picture)) + picture for picture in pictures)
    tensor = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [len(pictures)],
        "parameters": {"binary_data_size": len(data)},
    }
    head = json.dumps({"inputs": [tensor], **fields}).encode()
    return client.post(path, data=head + data, headers={LENGTH: str(len(head))})


# Answers


def test_the_answer_names_the_model_and_has_a_row_for_each_picture(client):
    response = post_json(client, PHOTO, OTHER, id="42")

    assert response.get_json() == {
        "model_name": "cats",
        "model_version": "7",
        "id": "42",
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [2, 2], "data": [0.75, 0.125, 0.75, 0.125]},
            {"name": "labels", "datatype": "BYTES", "shape": [2, 2], "data": ["Egyptian_cat", "tabby"] * 2},
        ],
    }
    assert response.headers["X-Model"] == f"cats@{'d' * 12}"
    assert LENGTH not in response.headers


def test_binary_in_and_out_is_the_same(client):
    response = post_binary(client, PHOTO, parameters={"binary_data_output": True})
    json_bytes = int(response.headers[LENGTH])
    head, behind = json.loads(response.data[:json_bytes]), response.data[json_bytes:]

    assert response.mimetype == "application/octet-stream"
    assert [output["parameters"] for output in head["outputs"]] == [{"binary_data_size": 8}, {"binary_data_size": 25}]
    assert behind == struct.pack("<2f", 0.75, 0.125) + b"\x0c\0\0\0Egyptian_cat" + b"\x05\0\0\0tabby"


def test_a_classification_has_value_index_and_label_as_triton_writes_it(client):
    outputs = [{"name": "probabilities", "parameters": {"classification": 3}}]
    (output,) = post_json(client, PHOTO, outputs=outputs).get_json()["outputs"]

    assert output["data"] == ["0.750000:285:Egyptian_cat", "0.125000:281:tabby", "0.062500:287:lynx"]


def test_no_index_is_made_up_for_the_answer_of_an_older_worker(client, inference):
    """Labels do not tell: two of ImageNet's stand for two classes each."""
    inference.old = True
    outputs = [{"name": "probabilities", "parameters": {"classification": 3}}]
    refused = post_json(client, PHOTO, outputs=outputs)

    assert refused.status_code == 502
    assert refused.get_json()["error"].startswith("the workers are older than this API")
    assert post_json(client, PHOTO).status_code == 200


def test_the_address_says_which_version_is_to_answer(client, inference):
    post_json(client, PHOTO, path="/v2/models/cats/versions/3/infer")
    post_json(client, PHOTO)

    assert inference.asked == [WantedModel("cats", "3"), WantedModel("cats")]


def test_one_version_answers_all_pictures_of_a_request(client, inference):
    """An answer names one, so of several pictures none goes to a candidate or to the fallback."""
    post_json(client, PHOTO, OTHER)

    assert inference.asked == [WantedModel("cats", "7")] * 2


# Objects


class Shapes(CatInference):
    """A detector: two objects in every picture but ``OTHER``, which has one."""

    def task(self, _model: WantedModel | None = None) -> ModelTask:
        return ModelTask.DETECTION

    def infer(self, image: bytes, client: Client, asked: Any) -> Any:
        answer: Answer[Any] = super().infer(image, client, asked)
        assert asked.job is DetectJob
        objects = SHAPES[:1] if image == OTHER else SHAPES
        return replace(answer, found=Detection("shapes", "d" * 64, objects, 64, 32, Timings(1.0, 2.0)))


SHAPES = (
    DetectedObject("red ball", 0.75, 1, Box(1.5, 2.0, 3.5, 4.0)),
    DetectedObject("cube", 0.25, 0, Box(0.0, 0.0, 64.0, 32.0)),
)
KNOWN = LabelList(ModelVersion("shapes"), "d" * 64, ("cube", "red ball"), ObjectBounds(0.1, 100))


@pytest.fixture
def shapes(services: Services) -> FlaskClient:
    parts: dict[str, Any] = {"inference": Shapes(), "labels": SimpleNamespace(of=lambda *_: KNOWN)}
    return create_app(replace(services, **parts)).test_client()


def tensors(response: TestResponse) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return {output["name"]: output["data"] for output in response.get_json()["outputs"]}


def test_a_detector_answers_with_the_objects_of_all_pictures_and_how_many_each_has(shapes):
    response = post_json(shapes, PHOTO, OTHER, path="/v2/models/shapes/infer", id="42")

    assert response.get_json() == {
        "model_name": "shapes",
        "model_version": "1",
        "id": "42",
        "outputs": [
            {
                "name": "boxes",
                "datatype": "FP32",
                "shape": [3, 4],
                "data": [1.5, 2.0, 3.5, 4.0, 0.0, 0.0, 64.0, 32.0, 1.5, 2.0, 3.5, 4.0],
            },
            {"name": "scores", "datatype": "FP32", "shape": [3], "data": [0.75, 0.25, 0.75]},
            {"name": "labels", "datatype": "BYTES", "shape": [3], "data": ["red ball", "cube", "red ball"]},
            {"name": "class_ids", "datatype": "INT64", "shape": [3], "data": [1, 0, 1]},
            {"name": "counts", "datatype": "INT64", "shape": [2], "data": [2, 1]},
        ],
    }


def test_objects_come_in_binary_too(shapes):
    response = post_binary(shapes, OTHER, parameters={"binary_data_output": True})
    behind = response.data[int(response.headers[LENGTH]) :]

    assert behind == struct.pack("<4ff", 1.5, 2.0, 3.5, 4.0, 0.75) + b"\x08\0\0\0red ball" + struct.pack("<qq", 1, 1)


@pytest.mark.parametrize(
    ("parameters", "labels"),
    [
        ({}, ["red ball", "cube"]),
        ({"min_score": 0.5}, ["red ball"]),
        ({"min_score": "0.75"}, ["red ball"]),
        ({"min_score": 1}, []),
        ({"labels": "Red_Ball,"}, ["red ball"]),
        ({"labels": "cube,red ball", "max_detections": 1}, ["red ball"]),
        ({"min_score": None, "priority": 7}, ["red ball", "cube"]),
    ],
)
def test_parameters_of_the_request_choose_objects_as_those_of_detect_do(shapes, parameters, labels):
    answer = tensors(post_json(shapes, PHOTO, parameters=parameters))

    assert answer["labels"] == labels
    assert answer["counts"] == [len(labels)]
    assert len(answer["boxes"]) == 4 * len(labels)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"parameters": {"min_score": 0.05}}, "min_score must be a number from 0.1 to 1: below that shapes@1 has no"),
        ({"parameters": {"min_score": 2}}, "min_score must be a number from 0 to 1"),
        ({"parameters": {"min_score": True}}, "min_score must be a number or a text"),
        ({"parameters": {"labels": ["cube"]}}, "labels must be a number or a text"),
        ({"parameters": {"labels": "cubes"}}, "labels: shapes@1 has no label 'cubes'"),
        ({"parameters": {"max_detections": 0}}, "max_detections must be a whole number from 1 to 100"),
        ({"parameters": {"max_detections": 1.5}}, "max_detections must be a whole number from 1 to 100"),
        (
            {"outputs": [{"name": "probabilities"}]},
            "there is no output 'probabilities': there are boxes, scores, ",
        ),
        (
            {"outputs": [{"name": "scores", "parameters": {"classification": 2}}]},
            "classification is of the output probabilities",
        ),
    ],
)
def test_what_a_detector_has_no_answer_to_is_refused_before_it_is_asked(shapes, fields, words):
    response = post_json(shapes, PHOTO, **fields)

    assert response.status_code == 400
    assert response.get_json()["error"].startswith(words)


def test_objects_are_no_outputs_of_a_classifier(client):
    response = post_json(client, PHOTO, outputs=[{"name": "boxes"}])

    assert response.status_code == 400
    assert response.get_json() == {"error": "there is no output 'boxes': there are probabilities and labels"}


# Errors


@pytest.mark.parametrize("send", [post_json, post_binary])
@pytest.mark.parametrize(
    ("pictures", "status", "words"),
    [
        ([b""], 400, "the file is empty"),
        ([b"text"], 415, "the file is not a picture in a supported format"),
        ([PHOTO, b"text"], 415, "picture 2 of 2: the file is not a picture in a supported format"),
        ([PHOTO] * 5, 400, "at most 4 pictures are taken at once, and the input's shape has 5"),
    ],
    ids=["empty", "a text", "one of two", "too many"],
)
def test_a_picture_at_fault_fails_the_request(client, send, pictures, status, words):
    """A tensor has no place for an error."""
    response = send(client, *pictures)

    assert response.status_code == status
    assert response.get_json().keys() == {"error"}
    assert response.get_json()["error"].startswith(words)


def test_no_picture_is_stored_before_all_have_passed(client, inference):
    post_json(client, PHOTO, b"text")

    assert inference.asked == []


def test_of_several_errors_one_is_told_that_sending_again_does_not_help_against(client, inference):
    inference.trouble = {PHOTO: Overloaded("busy", 7), OTHER: Undecodable("damaged")}

    assert post_json(client, PHOTO, OTHER).status_code == 422


def test_a_service_that_is_busy_or_late_says_when_to_try_again(client, inference):
    inference.trouble = {PHOTO: Overloaded("busy", 7), OTHER: DeadlineExceeded("no answer came within 30 seconds")}
    busy, late = post_json(client, PHOTO), post_json(client, OTHER)

    assert (busy.status_code, busy.headers["Retry-After"], busy.get_json()) == (503, "7", {"error": "busy"})
    assert (late.status_code, late.get_json()) == (504, {"error": "no answer came within 30 seconds"})


def test_a_busy_service_refuses_before_it_reads(client, inference):
    inference.busy = Overloaded("the queue is too long", 9)
    refused = client.post(INFER, data=b"never read", headers={LENGTH: "x"})

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "9")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/nobody/infer", 404),
        ("/v2/models/no body/infer", 404),
        ("/v2/models/cats/versions/v 1/infer", 404),
        (f"/v2/models/{'x' * 65}/infer", 404),
        ("/v2/models/cats/versions/1/explain", 404),
        ("/v2/models/a/b/infer", 404),
        ("/v2/", 404),
        ("/v2", 405),
        ("/v2/health/live", 405),
    ],
)
def test_what_is_not_there_is_told_in_the_protocols_shape(client, path, status):
    response = post_json(client, PHOTO, path=path)

    assert response.status_code == status
    assert response.mimetype == "application/json"
    assert response.get_json().keys() == {"error"}


@pytest.mark.parametrize("length", ["", "-1", "+1", "1.0", "1e3", "0x10", "9" * 13])
def test_a_length_of_the_json_that_is_no_number_is_refused(client, length):
    response = client.post(INFER, data=json.dumps(in_json(PHOTO)), headers={LENGTH: length})

    assert response.status_code == 400
    assert response.get_json() == {"error": f"{LENGTH} must be a number of bytes"}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "GZIP", "br", "identity, gzip"])
def test_a_compressed_body_is_refused(client, encoding):
    """A picture's file does not get smaller, and what a small body becomes would need bounds of its own."""
    body = zlib.compress(bytes(10_000_000))
    response = client.post(INFER, data=body, headers={"Content-Encoding": encoding})

    assert response.status_code == 415
    assert response.get_json()["error"].startswith("the body is compressed")


def test_the_body_has_the_bounds_of_every_other(client, services):
    """What was received counts: base64, not what it stands for."""
    large = PHOTO + bytes(400_000)
    sent = post_json(client, large)
    too_large = post_json(client, large + bytes(400_000))
    over_limit = post_json(client, large)

    assert (sent.status_code, too_large.status_code, over_limit.status_code) == (200, 413, 429)
    left = int(sent.headers["RateLimit"].partition("r=")[2].partition(";")[0])
    assert left == 1_000_000 - int(sent.request.headers["Content-Length"])
    assert too_large.get_json()["error"].startswith("the request is too large")
    assert services.body_room.taken_bytes == 0


@pytest.mark.parametrize("send", [post_json, post_binary])
def test_what_is_made_of_a_body_takes_its_part_of_the_memory_for_bodies(client, services, monkeypatch, send):
    monkeypatch.setattr(services.body_room, "_most_bytes", 1_000_000)
    with services.body_room.body("another") as take:
        take(500_000)
        refused = send(client, PHOTO + bytes(260_000))
        taken = send(client, PHOTO + bytes(100_000))

    assert (refused.status_code, taken.status_code) == (503, 200)
    assert services.body_room.taken_bytes == 0


# What the service says of itself


def test_the_server_says_what_it_is(client):
    assert client.get("/v2/health/live").get_json() == {"live": True}
    assert client.get("/v2").get_json()["extensions"] == ["binary_tensor_data", "classification"]


def test_a_model_is_ready_if_it_has_workers(client):
    assert client.get("/v2/models/cats/ready").get_json() == {"name": "cats", "ready": True}
    assert client.get("/v2/models/cats/versions/7/ready").status_code == 200
    asleep = client.get("/v2/models/asleep/ready")
    assert (asleep.status_code, asleep.headers["Retry-After"]) == (503, "5")
    assert asleep.get_json() == {"error": "no worker of asleep@1 is ready"}


def test_a_server_without_its_queue_is_not_ready(client):
    refused = client.get("/v2/health/ready")

    assert refused.status_code == 503
    assert refused.get_json().keys() == {"error"}

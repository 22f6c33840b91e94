"""The JSON routes of inference, with a fake one that sees a cat in every picture."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from urllib3 import encode_multipart_formdata

from api.app import create_app
from api.core.client import Client
from api.core.errors import Overloaded, Undecodable
from api.core.inference import Answer
from api.services import Services
from api.settings import Settings
from contract.errors import DeadlineExceeded, ServiceError, WorkerFault
from contract.messages import Classification, Label, Timings
from contract.model_task import ModelTask
from tests.pictures import odd

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from flask.testing import FlaskClient

    from api.core.inference import Asked, Cache, Inference
    from contract.model_version import WantedModel

LABELS = (Label("Egyptian_cat", 0.63124), Label("tabby", 0.2), Label("tiger_cat", 0.1), Label("lynx", 0.00004))
SEEN = Classification("resnet50", "d" * 64, LABELS, Timings(decode=3.0, infer=20.25))
PHOTO = odd.CHELSEA.read_bytes()
OTHER = odd.ROCKET.read_bytes()


class CatInference:
    """Sees a cat in every picture except those in ``trouble``, a dictionary by their bytes, and those ``damaged``."""

    def __init__(self) -> None:
        self.trouble: dict[bytes, ServiceError] = {}
        self.damaged: set[bytes] = set()
        self.cache: Cache = "miss"
        self.asked: list[WantedModel | None] = []

    def task(self, _model: WantedModel | None = None) -> ModelTask:
        return ModelTask.CLASSIFICATION

    def admit(self, _task: ModelTask, _model: WantedModel | None = None) -> None:
        """Never busy before the body is read."""

    def infer(self, image: bytes, _client: Client, asked: Asked[Classification]) -> Answer[Classification]:
        self.asked.append(asked.model)
        if image in self.trouble:
            raise self.trouble[image]
        damaged = image in self.damaged
        if damaged and asked.strict:
            raise Undecodable("the picture is damaged")
        return Answer("a" * 64, replace(SEEN, damaged=damaged), self.cache, waited_ms=25.0)

    def infer_all(
        self, images: Iterable[bytes | ServiceError], _client: Client, asked: Asked[Classification]
    ) -> list[Answer[Classification] | ServiceError]:
        return [image if isinstance(image, ServiceError) else self._outcome(image, asked) for image in images]

    def _outcome(self, image: bytes, asked: Asked[Classification]) -> Answer[Classification] | ServiceError:
        try:
            return self.infer(image, Client("192.0.2.1"), asked)
        except ServiceError as error:
            return error


@pytest.fixture
def inference() -> CatInference:
    return CatInference()


@pytest.fixture
def client(inference: CatInference, tmp_path: Path) -> FlaskClient:
    settings = Settings(
        upload_dir=tmp_path,
        copies_dir=tmp_path / "copies",
        feedback_dir=tmp_path,
        max_upload_mb=1,
        max_batch_files=4,
        top_k=3,
    )
    return create_app(replace(Services.connect(settings), inference=cast("Inference", inference))).test_client()


def post(client: FlaskClient, path: str, *fields: tuple[str, Any]):
    body, content_type = encode_multipart_formdata(fields)
    return client.post(path, data=body, content_type=content_type)


def photo(field: str = "file", name: str = "cat.jpg", data: bytes = PHOTO) -> tuple[str, tuple[str, bytes]]:
    return field, (name, data)


# One picture


def test_infer_gives_top_k_labels_with_their_confidence(client):
    response = post(client, "/infer", photo())

    assert response.get_json() == {
        "predictions": [
            {"label": "Egyptian_cat", "confidence": 0.6312},
            {"label": "tabby", "confidence": 0.2},
            {"label": "tiger_cat", "confidence": 0.1},
        ],
        "inference_time_ms": 23.2,
    }
    assert response.headers["X-Cache"] == "miss"
    assert response.headers["X-Model"] == "resnet50@dddddddddddd"


@pytest.mark.parametrize(
    ("cache", "spent"),
    [
        ("miss", "queue;dur=1.8, decode;dur=3.0, infer;dur=20.2, "),
        ("joined", "queue;dur=25.0, "),
        ("hit", ""),
    ],
)
def test_server_timing_says_where_the_wait_for_an_answer_was_spent(client, inference, cache, spent):
    """A joined answer's decode and infer belong to another request; only the wait for them is its own."""
    inference.cache = cache
    timing = post(client, "/infer", photo()).headers["Server-Timing"]

    assert re.fullmatch(rf"upload;dur=\S+, {re.escape(spent)}total;dur=\S+", timing)


def test_infer_applies_top_k_and_min_score(client):
    few = post(client, "/infer", photo(), ("top_k", "4"), ("min_score", "0.15")).get_json()
    none = post(client, "/infer?min_score=0.9", photo()).get_json()

    assert [entry["label"] for entry in few["predictions"]] == ["Egyptian_cat", "tabby"]
    assert none["predictions"] == []


def test_predict_names_the_best_label_whatever_min_score_filters(client):
    """``prediction`` and ``score`` are documented as the best label's."""
    assert post(client, "/predict", photo(), ("min_score", "0.9")).get_json() == {
        "success": True, "prediction": "Egyptian_cat", "score": 0.6312, "predictions": [],
    }  # fmt: skip
    assert len(post(client, "/predict", photo(), ("min_score", "0.15")).get_json()["predictions"]) == 2
    assert "predictions" not in post(client, "/predict", photo()).get_json()


@pytest.mark.parametrize("path", ["/predict", "/infer"])
def test_a_damaged_picture_is_refused_unless_the_sender_says_otherwise(client, inference, path):
    """A confident label of a picture that is grey over three quarters is a wrong answer that nobody notices."""
    inference.damaged.add(OTHER)
    refused = post(client, path, photo(data=OTHER))
    for how in ({"path": f"{path}?strict=false"}, {"path": path, "more": [("strict", "false")]}):
        answered = post(client, how["path"], photo(data=OTHER), *how.get("more", []))

        assert answered.status_code == 200
        assert answered.get_json()["damaged"] is True
    assert refused.status_code == {"/predict": 400, "/infer": 422}[path]
    assert post(client, path, photo(data=OTHER), ("strict", "true")).status_code == refused.status_code


@pytest.mark.parametrize("path", ["/predict", "/infer"])
def test_whether_a_picture_is_damaged_is_said_only_to_those_who_took_it_on(client, path):
    """Answers to all others are as they always were."""
    lenient = post(client, path, photo(), ("strict", "false")).get_json()
    strict = post(client, path, photo(), ("strict", "true")).get_json()

    assert lenient == {**strict, "damaged": False}
    assert strict == post(client, path, photo()).get_json()


def test_the_page_takes_no_damaged_picture(client, inference):
    """It has no place to say that it shows the labels of half a picture."""
    inference.damaged.add(OTHER)

    assert post(client, "/", photo(data=OTHER), ("strict", "false")).status_code == 422


@pytest.mark.parametrize("path", ["/predict", "/infer", "/infer/batch", "/"])
@pytest.mark.parametrize("field", ["file", "image", "files"])
def test_a_picture_may_come_in_any_of_the_fields_that_clients_use(client, path, field):
    assert post(client, path, photo(field)).status_code == 200


@pytest.mark.parametrize("path", ["/predict", "/infer"])
def test_several_pictures_where_one_is_expected_are_refused_not_silently_dropped(client, path):
    response = post(client, path, photo("file"), photo("image"))

    assert response.status_code == 400
    assert "one picture is taken here, and the request has 2" in response.headers.get("X-Error", response.text)


def test_a_field_without_a_chosen_file_is_not_a_picture(client):
    """Browsers send it as a file without name and content."""
    assert post(client, "/infer", photo("file", "", b""), photo("image")).status_code == 200


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ([], 400, "the request has no picture: "),
        ([photo("picture")], 400, "the request has no picture: "),
        ([photo(name="", data=b"")], 400, "the request has no picture: "),
        ([photo(), ("top_k", "11")], 400, "top_k"),
        ([photo(), ("min_score", "2")], 400, "min_score"),
        ([photo(), ("strict", "perhaps")], 400, "strict must be true or false"),
    ],
)
@pytest.mark.parametrize("path", ["/infer", "/infer/batch"])
def test_a_request_that_is_wrong_as_a_whole_gets_a_problem_document(client, path, fields, status, words):
    response = post(client, path, *fields)

    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    assert words in json.loads(response.data)["detail"]


@pytest.mark.parametrize(
    ("data", "status"), [(b"", 400), (b"text", 415), (odd.zero_by_zero_png(), 422), (odd.huge_png(), 413)]
)
def test_a_single_bad_picture_gets_the_status_of_its_fault(client, data, status):
    response = post(client, "/infer", photo(data=data))

    assert response.status_code == status
    assert response.content_type == "application/problem+json"


# Several pictures


def test_a_batch_is_answered_in_the_order_sent_each_picture_failing_alone(client, inference):
    inference.trouble[OTHER] = Undecodable("cut short")
    response = post(
        client,
        "/infer/batch",
        photo("files", "1.jpg"),
        photo("files", "2.txt", b"text"),
        photo("files", "3.jpg", OTHER),
        photo("files", "4.jpg", odd.png()),
    )
    body = response.get_json()
    good = {"predictions": post(client, "/infer", photo()).get_json()["predictions"], "inference_time_ms": 23.2}
    failed: dict[str, Any] = {"predictions": [], "inference_time_ms": None}

    assert response.status_code == 200
    assert body.pop("total_time_ms") > 0
    assert body.pop("results") == [
        {"filename": "1.jpg", **good, "error": None},
        {"filename": "2.txt", **failed, "error": body_error(client, b"text")},
        {"filename": "3.jpg", **failed, "error": "cut short"},
        {"filename": "4.jpg", **good, "error": None},
    ]
    assert body == {"total_images": 4, "successful": 2, "failed": 2}
    assert response.headers["X-Cache"] == "miss"


def body_error(client: FlaskClient, data: bytes) -> str:
    """The answer of the route for one picture."""
    return str(json.loads(post(client, "/infer", photo(data=data)).data)["detail"])


def test_the_keys_of_a_batch_are_in_the_documented_order(client):
    body = post(client, "/infer/batch", photo("files")).get_json()

    assert list(body) == ["total_images", "successful", "failed", "total_time_ms", "results"]
    assert list(body["results"][0]) == ["filename", "predictions", "inference_time_ms", "error"]


def test_the_parameters_apply_to_every_picture_of_a_batch(client):
    body = post(client, "/infer/batch?top_k=1", photo("files"), photo("files")).get_json()

    assert [len(result["predictions"]) for result in body["results"]] == [1, 1]


def test_each_picture_of_a_lenient_batch_says_whether_it_is_damaged(client, inference):
    """None where nothing was decoded, as with the time that it took."""
    inference.damaged.add(OTHER)
    pictures = photo("files"), photo("files", data=OTHER), photo("files", data=b"text")
    strict = post(client, "/infer/batch", *pictures).get_json()
    lenient = post(client, "/infer/batch?strict=false", *pictures).get_json()

    assert [result["error"] for result in strict["results"][:2]] == [None, "the picture is damaged"]
    assert not any("damaged" in result for result in strict["results"])
    assert [result["damaged"] for result in lenient["results"]] == [False, True, None]
    assert lenient["successful"] == 2


def test_a_batch_of_only_bad_pictures_is_not_a_bad_request(client, inference):
    """Each result says why; the form itself was fine, and sending it again would not help."""
    inference.trouble[OTHER] = WorkerFault("given up")
    response = post(
        client, "/infer/batch", photo("files", data=b"text"), photo("files", data=b""), photo("files", data=OTHER)
    )

    assert response.status_code == 200
    assert response.get_json()["failed"] == 3
    assert "X-Cache" not in response.headers


def test_more_pictures_than_a_batch_may_have_are_refused_before_any_is_checked(client):
    response = post(client, "/infer/batch", *[photo("files") for _ in range(5)])

    assert response.status_code == 400
    assert json.loads(response.data)["detail"] == "at most 4 pictures are taken at once, and the request has 5"


def test_a_batch_of_too_many_bytes_is_refused(client):
    response = post(client, "/infer/batch", *[photo("files", data=PHOTO + bytes(600_000)) for _ in range(2)])

    assert response.status_code == 413
    assert response.content_type == "application/problem+json"


def test_a_batch_of_which_nothing_can_be_accepted_is_refused_with_a_time_to_try_again(client, inference):
    """A client should wait and send it again; a 200 without any result would not say so."""
    inference.trouble = {PHOTO: Overloaded("busy", 7), OTHER: DeadlineExceeded("too late")}
    refused = post(client, "/infer/batch", photo("files", data=b"text"), photo("files"), photo("files", data=OTHER))
    late = post(client, "/infer/batch", photo("files", data=OTHER))

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "7")
    assert late.status_code == 504


def test_a_batch_that_is_accepted_in_part_says_why_the_rest_was_not(client, inference):
    inference.trouble[OTHER] = Overloaded("busy", 7)
    body = post(client, "/infer/batch", photo("files"), photo("files", data=OTHER)).get_json()

    assert (body["successful"], body["failed"]) == (1, 1)
    assert body["results"][1]["error"] == "busy"


@pytest.mark.parametrize("path", ["/predict", "/infer", "/infer/batch", "/"])
def test_the_answer_to_an_animated_gif_says_that_its_first_frame_counted(client, path):
    """Only there: other answers have the fields that they always had."""
    moving, still = photo(data=odd.animated_gif()), photo(data=odd.gif())

    def answered(*files: tuple[str, tuple[str, bytes]]) -> list[dict[str, Any]]:
        form, content_type = encode_multipart_formdata(files)
        response = client.post(path, data=form, content_type=content_type, headers={"Accept": "application/json"})
        body = response.get_json()
        results: list[dict[str, Any]] = body.get("results", [body])
        return results

    said = answered(still, moving) if path == "/infer/batch" else [*answered(still), *answered(moving)]
    assert [answer.get("first_frame_only") for answer in said] == [None, True]

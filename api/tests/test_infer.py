"""The JSON routes of inference, with a fake one that sees a cat in every picture."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from urllib3 import encode_multipart_formdata

from api.app import create_app
from api.core.errors import Overloaded, Undecodable
from api.core.inference import Answer
from api.services import Services
from api.settings import Settings
from contract.errors import DeadlineExceeded, ServiceError, WorkerFault
from contract.messages import Classification, Label, Timings
from tests.pictures import odd

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from flask.testing import FlaskClient

    from api.core.inference import Cache, Inference

LABELS = (Label("Egyptian_cat", 0.63124), Label("tabby", 0.2), Label("tiger_cat", 0.1), Label("lynx", 0.00004))
SEEN = Classification("resnet50", "d" * 64, LABELS, Timings(decode=3.0, infer=20.25))
PHOTO = odd.CHELSEA.read_bytes()
OTHER = odd.ROCKET.read_bytes()


class CatInference:
    """Sees a cat in every picture except those in ``trouble``, a dictionary by their bytes."""

    def __init__(self) -> None:
        self.trouble: dict[bytes, ServiceError] = {}
        self.cache: Cache = "miss"

    def admit(self) -> None:
        """Never busy before the body is read."""

    def classify(self, image: bytes) -> Answer:
        if image in self.trouble:
            raise self.trouble[image]
        return Answer("a" * 64, SEEN, self.cache, waited_ms=25.0)

    def classify_all(self, images: Iterable[bytes | ServiceError]) -> list[Answer | ServiceError]:
        return [
            image if isinstance(image, ServiceError) else self.trouble.get(image) or self.classify(image)
            for image in images
        ]


@pytest.fixture
def inference() -> CatInference:
    return CatInference()


@pytest.fixture
def client(inference: CatInference, tmp_path: Path) -> FlaskClient:
    settings = Settings(upload_dir=tmp_path, feedback_dir=tmp_path, max_upload_mb=1, max_batch_files=4, top_k=3)
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
        ([], 400, "no file"),
        ([photo("picture")], 400, "no file"),
        ([photo(name="", data=b"")], 400, "no file"),
        ([photo(), ("top_k", "11")], 400, "top_k"),
        ([photo(), ("min_score", "2")], 400, "min_score"),
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

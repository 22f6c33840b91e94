"""``POST /detect`` and ``/detect/batch`` on a real service that classifies too."""

from __future__ import annotations

from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from model.tests import detectors
from tests.pictures import odd
from tests.support.detection_site import CLASSIFIER, DETECTOR, DetectionSite, red_at
from tests.support.workers import WAIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Server

BOX = (100, 50, 300, 150)
RED = {"label": "red", "class_id": 1, "confidence": 0.75, "box": {"x": 100, "y": 50, "width": 200, "height": 100}}


@pytest.fixture(scope="module")
def site(valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DetectionSite]:
    with DetectionSite(valkey, tmp_path_factory.mktemp("site")) as site:
        yield site


def test_a_picture_is_answered_with_its_objects_and_its_size(site):
    answer = site.post("/detect", red_at(BOX))

    assert answer.status_code == 200
    body = answer.json()
    assert body["detections"] == [RED]
    assert body["image"] == {"width": 640, "height": 320}
    assert body["inference_time_ms"] > 0
    assert answer.headers["X-Model"] == f"{DETECTOR}@{site.digest[:12]}"
    assert answer.headers["X-Model-Version"] == "1"
    assert answer.headers["X-Cache"] == "miss"
    assert "infer;dur=" in answer.headers["Server-Timing"]


def test_a_picture_without_objects_is_answered_with_none(site):
    answer = site.post("/detect", red_at())

    assert answer.status_code == 200
    assert answer.json()["detections"] == []


def test_one_computation_serves_whoever_wants_other_objects_of_it(site):
    picture = red_at(BOX, noise=1)
    asked: list[tuple[dict[str, Any], list[Any]]] = [
        ({}, [RED]),
        ({"min_score": "0.75"}, [RED]),
        ({"min_score": "0.76"}, []),
        ({"labels": "blue"}, []),
        ({"labels": "blue,red"}, [RED]),
        ({"labels": ["blue", "red"]}, [RED]),
        ({"labels": "red", "max_detections": "1", "min_score": "0.1"}, [RED]),
    ]
    answers = [site.post("/detect", picture, **fields) for fields, _ in asked]

    assert [answer.json()["detections"] for answer in answers] == [objects for _, objects in asked]
    assert [answer.headers["X-Cache"] for answer in answers] == ["miss"] + ["hit"] * 6


def test_it_takes_a_picture_in_every_way_that_infer_does(site):
    picture, address = red_at(BOX, noise=2), f"{site.url}/detect"
    in_json = {"image": b64encode(picture).decode(), "labels": ["red"], "min_score": 0.5, "model": DETECTOR}
    answers = [
        requests.post(address, params={"labels": "red"}, files={"image": picture}, timeout=WAIT_S),
        requests.post(address, params={"labels": "red"}, data=picture, timeout=WAIT_S),
        requests.post(address, json=in_json, timeout=WAIT_S),
    ]

    assert [answer.json()["detections"] for answer in answers] == [[RED]] * 3
    assert {answer.headers["X-Cache"] for answer in answers[1:]} == {"hit"}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("min_score", "0.05", "min_score must be a number from 0.1 to 1: below that reds@1 has no answers"),
        ("min_score", "0", "min_score must be a number from 0.1 to 1: below that reds@1 has no answers"),
        ("min_score", "2", "min_score must be a number from 0 to 1"),
        ("max_detections", "101", "max_detections must be a whole number from 1 to 100"),
        ("max_detections", "0", "max_detections must be a whole number from 1 to 100"),
        ("labels", "red,green", "labels: reds@1 has no label 'green'; GET /labels lists its own"),
        ("strict", "perhaps", "strict must be true or false"),
        ("model", "colours", "colours@1 is for classification, and not for detection: for that there are reds@1"),
        ("model", "colours@1", "colours@1 is for classification, and not for detection: for that there are reds@1"),
    ],
)
@pytest.mark.parametrize("path", ["/detect", "/detect/batch"])
def test_what_the_model_has_no_answer_to_is_refused(site, path, field, value, said):
    refused = site.post(path, red_at(BOX), **{field: value})

    assert refused.status_code == 400
    assert refused.json()["detail"] == said


@pytest.mark.parametrize("where", ["data", "params"])
@pytest.mark.parametrize("route", ["/infer", "/infer/batch", "/predict"])
def test_a_detector_classifies_nothing(site, route, where):
    asked: dict[str, Any] = {where: {"model": DETECTOR}}
    refused = requests.post(f"{site.url}{route}", files={"file": red_at(BOX)}, timeout=WAIT_S, **asked)

    assert refused.status_code == 400
    said = refused.headers["X-Error"] if route == "/predict" else refused.json()["detail"]
    assert said == "reds@1 is for detection, and not for classification: for that there are colours@1"


def test_who_names_no_model_gets_one_for_the_routes_task(site):
    """Although the detector's worker started last, nobody who wants labels meets it."""
    picture = red_at((20, 20, 620, 300))
    page = requests.post(site.url, files={"file": picture}, headers={"Accept": "application/json"}, timeout=WAIT_S)
    labels = [
        site.post("/infer", picture).json()["predictions"][0]["label"],
        site.post("/predict", picture).json()["prediction"],
        site.post("/infer/batch", picture).json()["results"][0]["predictions"][0]["label"],
        page.json()["predictions"][0]["label"],
    ]

    assert labels == ["red"] * 4
    assert requests.get(f"{site.url}/labels", timeout=WAIT_S).json()["model"] == CLASSIFIER
    assert site.post("/detect", picture).headers["X-Model"].startswith(f"{DETECTOR}@")


def test_models_are_told_with_their_task_and_each_task_has_a_default(site):
    told = requests.get(f"{site.url}/v1/models", timeout=WAIT_S).json()["models"]
    versions = {model["name"]: model["versions"][0] for model in told}

    assert {model["name"]: model["default"] for model in told} == {CLASSIFIER: True, DETECTOR: True}
    assert {name: version["task"] for name, version in versions.items()} == {
        CLASSIFIER: "classification",
        DETECTOR: "detection",
    }
    assert versions[DETECTOR]["objects"] == {"min_score": 0.1, "most": 100}
    assert "objects" not in versions[CLASSIFIER]


def test_the_page_offers_detectors_as_such(site):
    page = requests.get(site.url, timeout=WAIT_S).text

    assert f'value="{DETECTOR}" data-task="detection">{DETECTOR} · objects<' in page


def test_a_damaged_picture_is_refused_unless_what_is_there_of_it_is_wanted(site):
    whole = red_at((0, 0, 320, 32))
    half = whole[: len(whole) // 2]
    strict, lenient = site.post("/detect", half), site.post("/detect", half, strict="false")

    assert strict.status_code == 422
    assert lenient.json()["damaged"] is True
    assert [found["label"] for found in lenient.json()["detections"]] == ["red"]
    assert site.post("/detect", whole, strict="false").json()["damaged"] is False


def test_a_file_that_is_no_picture_is_refused_before_the_queue(site):
    assert site.post("/detect", b"a text").status_code == 415
    assert requests.post(f"{site.url}/detect", timeout=WAIT_S).status_code == 400


def test_a_batch_has_each_pictures_objects_or_why_there_are_none(site):
    files = [("files", ("one.png", red_at(BOX, noise=3))), ("files", ("two.txt", b"a text"))]
    files += [("files", ("three.jpg", odd.text_as_jpeg())), ("files", ("four.png", red_at(noise=3)))]
    answer = requests.post(f"{site.url}/detect/batch", files=files, data={"labels": "red"}, timeout=WAIT_S)
    body = answer.json()

    assert answer.status_code == 200
    assert (body["total_images"], body["successful"], body["failed"]) == (4, 2, 2)
    assert [result["filename"] for result in body["results"]] == ["one.png", "two.txt", "three.jpg", "four.png"]
    assert [result["detections"] for result in body["results"]] == [[RED], [], [], []]
    assert [result["error"] is None for result in body["results"]] == [True, False, False, True]
    assert [result["image"] for result in body["results"]] == [
        {"width": 640, "height": 320}, None, None, {"width": 640, "height": 320},
    ]  # fmt: skip
    assert answer.headers["X-Model"] == f"{DETECTOR}@{site.digest[:12]}"


def test_answers_are_counted_and_timed_as_those_of_classifiers_are(site):
    def counted() -> tuple[float, float]:
        samples = site.api.samples()
        answered = samples["classifier_answers_total", frozenset({("cache", "miss")})]
        route = frozenset({("route", "/detect"), ("status", "2xx")})
        return answered, samples["classifier_classification_duration_seconds_count", route]

    before = counted()
    site.post("/detect", red_at(BOX, noise=4))

    assert eventually(lambda: counted() != before and counted(), "it is counted") == (before[0] + 1, before[1] + 1)


def test_a_worker_that_is_killed_loses_no_detection(site):
    """What it had in hand comes back to the queue of the detector."""
    site.start_worker()
    with ThreadPoolExecutor(16) as senders:
        asked = [senders.submit(site.post, "/detect", red_at(BOX, noise=100 + number)) for number in range(40)]
        asked[3].result()
        site.running[0].kill()
        answers = [answer.result() for answer in asked]

    assert [answer.status_code for answer in answers] == [200] * 40
    assert {answer.json()["detections"][0]["confidence"] for answer in answers} == {detectors.SCORE}

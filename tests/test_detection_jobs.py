"""``/v1/jobs`` for a detector, on a real service that classifies too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from contract import keys
from contract.worker_registry import live_workers
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


def submit(site: DetectionSite, picture: bytes, key: str | None = None, **fields: Any) -> requests.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return requests.post(f"{site.url}/v1/jobs", files={"file": picture}, data=fields, headers=headers, timeout=WAIT_S)


def result(site: DetectionSite, job: requests.Response) -> Any:
    assert job.status_code == 202, job.text
    address = f"{site.url}{job.headers['Location']}"
    return eventually(lambda: requests.get(address, timeout=WAIT_S).json().get("result"), "the job ends")


def test_a_job_of_a_detector_ends_with_objects(site):
    found = result(site, submit(site, red_at(BOX), model=DETECTOR))

    assert (found["model"], found["version"], found["digest"]) == (DETECTOR, "1", site.digest)
    assert found["detections"] == [RED]
    assert found["image"] == {"width": 640, "height": 320}
    assert "predictions" not in found


@pytest.mark.parametrize(
    ("fields", "objects"),
    [({"min_score": "0.8"}, []), ({"labels": "blue"}, []), ({"labels": "blue,red", "max_detections": "1"}, [RED])],
)
def test_it_has_the_objects_that_were_asked_for_when_it_was_sent(site, fields, objects):
    assert result(site, submit(site, red_at(BOX), model=DETECTOR, **fields))["detections"] == objects


def test_a_job_that_names_no_model_is_a_classifiers(site):
    found = result(site, submit(site, red_at(BOX)))

    assert found["model"] == CLASSIFIER
    assert "detections" not in found


def test_a_job_of_a_known_picture_is_done_at_once(site):
    picture = red_at(BOX, noise=1)
    site.post("/detect", picture)

    assert submit(site, picture, model=DETECTOR).json()["state"] == "done"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("min_score", "0.05", "min_score must be a number from 0.1 to 1: below that reds@1 has no answers"),
        ("max_detections", "101", "max_detections must be a whole number from 1 to 100"),
        ("top_k", "3", "top_k can't be sent: the model is for detection"),
        ("labels", "green", "labels: reds@1 has no label 'green'; GET /labels lists its own"),
    ],
)
def test_what_a_detector_has_no_answer_to_is_refused_when_it_is_sent(site, field, value, said):
    refused = submit(site, red_at(BOX), model=DETECTOR, **{field: value})

    assert refused.status_code == 400
    assert refused.json()["detail"] == said


def test_an_idempotency_key_stands_for_the_wanted_objects_too(site):
    first, again, other = (
        submit(site, red_at(BOX), key="order-17", model=DETECTOR, labels=labels)
        for labels in ("blue,red", "red,blue", "red")
    )

    assert first.json()["id"] == again.json()["id"]
    assert other.status_code == 422


def test_while_no_worker_is_alive_jobs_are_taken_for_what_their_model_does(site):
    """Also by a process that has never seen one. What it can't check, it does not promise."""
    site.end_workers()
    eventually(lambda: not live_workers(site.redis), "their entries run out")
    site.redis.delete(keys.labels(DETECTOR, site.digest), keys.description(DETECTOR, site.digest))
    site.api.replace(*site.api.processes(), ready=False)
    unchecked = submit(site, red_at(BOX, noise=2), model=DETECTOR, labels="red")
    job = submit(site, red_at(BOX, noise=2), model=DETECTOR)

    assert unchecked.status_code == 503
    assert int(unchecked.headers["Retry-After"]) > 0
    assert job.json()["state"] == "queued"
    site.start_worker()
    assert result(site, job)["detections"] == [RED]

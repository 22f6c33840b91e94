"""The Python client's objects, against a real service with a small detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from classifier_client import Box, Client, DetectedObject, InvalidPicture
from tests.support.detection_site import CLASSIFIER, DETECTOR, DetectionSite, red_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Server

RED = DetectedObject("red", 1, 0.75, Box(100, 50, 200, 100))
PICTURE = red_at((100, 50, 300, 150))


@pytest.fixture(scope="module")
def client(valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with DetectionSite(valkey, tmp_path_factory.mktemp("site")) as site, Client(site.url) as client:
        yield client


def test_objects_come_with_the_model_that_found_them(client):
    found, again = client.detect(PICTURE), client.detect(PICTURE, labels=["blue"])

    assert found.objects == (RED,)
    assert (found.width, found.height, found.model, found.version) == (640, 320, DETECTOR, "1")
    assert again.objects == ()
    assert (found.cache, again.cache) == ("miss", "hit")


def test_what_the_model_has_no_answer_to_is_refused_in_its_words(client):
    with pytest.raises(InvalidPicture, match=r"from 0\.1 to 1"):
        client.detect(PICTURE, min_score=0.01)
    with pytest.raises(InvalidPicture, match="for that there are reds@1"):
        client.detect(PICTURE, model=CLASSIFIER)


def test_many_pictures_and_a_file_that_is_none(client):
    first, second = client.detect_many([PICTURE, b"a text"], max_detections=1)

    assert first.result.objects == (RED,)
    assert isinstance(second.error, InvalidPicture)


def test_a_job_is_answered_like_a_request(client):
    job = client.submit_detection(PICTURE, model=DETECTOR, min_score=0.5)

    assert job.detection().objects == (RED,)
    assert client.job(job.id).detection().digest == client.detect(PICTURE).digest


def test_the_models_say_what_they_are_for(client):
    assert {model.name: (model.task, model.default) for model in client.models()} == {
        DETECTOR: ("detection", True),
        CLASSIFIER: ("classification", True),
    }

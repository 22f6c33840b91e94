"""How the client asks for objects and reads them; tests/test_detection_client.py asks a real service."""

from __future__ import annotations

import json

import pytest

from classifier_client import (
    Box,
    Client,
    DetectedObject,
    Detection,
    DetectionOutcome,
    InvalidPicture,
    UnexpectedAnswer,
)
from client.tests.scripted_service import FOUND, SEEN, Answer, ScriptedService, job_answer, problem

PHOTO = b"\xff\xd8 the bytes of a photo"
DESCRIPTION = {"X-Model": "ssdlite@0123456789ab", "X-Model-Version": "2", "X-Cache": "hit"}
ANSWER = Answer(body=json.dumps(FOUND).encode(), headers=DESCRIPTION)
CAT = Detection(
    objects=(DetectedObject("cat", 15, 0.93, Box(1.5, 2.0, 220.0, 275.9)),),
    width=451,
    height=300,
    inference_time_ms=16.8,
    model="ssdlite",
    digest="0123456789ab",
    cache="hit",
    version="2",
)


def test_an_answer_is_typed_objects():
    with ScriptedService(ANSWER) as service, Client(service.url) as client:
        assert client.detect(PHOTO) == CAT
        (request,) = service.requests

    assert request.path == "/detect"
    assert PHOTO in request.body
    assert not any(name in request.body for name in (b"min_score", b"max_detections", b"labels", b"model", b"strict"))


def test_what_is_wanted_is_sent_with_the_picture():
    with ScriptedService(ANSWER, ANSWER) as service, Client(service.url) as client:
        client.detect(PHOTO, model="ssdlite@2", min_score=0.5, max_detections=3, labels=["cat", "dog"], strict=False)
        client.detect(PHOTO, labels="cat")
        full, one = service.requests

    sent = {"model": "ssdlite@2", "min_score": "0.5", "max_detections": "3", "labels": "cat,dog", "strict": "false"}
    for name, value in sent.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in full.body
    assert b'name="labels"\r\n\r\ncat\r\n' in one.body


def test_many_pictures_keep_their_order_and_fail_alone():
    refused = problem(400, "min_score must be a number from 0.1 to 1")
    with ScriptedService(ANSWER, refused, ANSWER) as service, Client(service.url) as client:
        outcomes = list(client.detect_many([b"a", b"b", b"c"], at_once=1, min_score=0.01))

    assert [type(outcome) for outcome in outcomes] == [DetectionOutcome] * 3
    assert [outcome.picture for outcome in outcomes] == [b"a", b"b", b"c"]
    assert outcomes[0].result == outcomes[2].result == CAT
    assert isinstance(outcomes[1].error, InvalidPicture)
    with pytest.raises(InvalidPicture, match="min_score"):
        _ = outcomes[1].result


def test_a_job_of_a_detector_has_objects():
    done = job_answer("done", result={**FOUND, "model": "ssdlite", "version": "2", "digest": "0123456789ab" + "c" * 52})
    with ScriptedService(job_answer("queued"), done) as service, Client(service.url) as client:
        job = client.submit_detection(PHOTO, model="ssdlite", labels=["cat"], key="order-7")
        found = job.detection()
        (sent, _) = service.requests

    assert (found.objects, found.model, found.version, found.cache) == (CAT.objects, "ssdlite", "2", None)
    assert sent.headers["Idempotency-Key"] == "order-7"
    assert b'name="labels"\r\n\r\ncat\r\n' in sent.body


@pytest.mark.parametrize(("result", "ask"), [(FOUND, "result"), (SEEN, "detection")])
def test_a_job_that_answers_something_else_says_so(result, ask):
    done = job_answer("done", result={**result, "model": "m", "digest": "d" * 64})
    with (
        ScriptedService(done) as service,
        Client(service.url) as client,
        pytest.raises(UnexpectedAnswer),
    ):
        getattr(client.job("0" * 32), ask)()


@pytest.mark.parametrize(
    "change",
    [
        {"detections": None},
        {"detections": [{"label": "cat"}]},
        {"detections": [{**FOUND["detections"][0], "box": {"x": 1}}]},  # type: ignore[index]
        {"image": None},
        {"inference_time_ms": "soon"},
    ],
)
def test_what_is_no_detection_is_an_unexpected_answer(change):
    body = json.dumps({**FOUND, **change}).encode()
    with (
        ScriptedService(Answer(body=body, headers=DESCRIPTION)) as service,
        Client(service.url) as client,
        pytest.raises(UnexpectedAnswer),
    ):
        client.detect(PHOTO)

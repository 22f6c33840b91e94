"""How the client reads each answer, good or bad. ``tests/test_client.py`` tries it against the real service."""

from __future__ import annotations

import io
import itertools
import json
import pickle
import socket
import threading
import time
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from classifier_client import (
    Client,
    DeadlineExceeded,
    Forbidden,
    InvalidPicture,
    JobCancelled,
    Model,
    NoSuchJob,
    NoSuchModel,
    OverLimit,
    Overloaded,
    Prediction,
    Result,
    ServiceFault,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from client.tests.scripted_service import (
    JOB_ID,
    SEEN,
    Answer,
    HangUp,
    Request,
    ScriptedService,
    job_answer,
    problem,
)

ROOT = Path(__file__).parents[2]
PHOTO = b"\xff\xd8 the bytes of a photo"
DONE = job_answer("done", result={**SEEN, "model": "resnet50", "digest": "0123456789ab" + "c" * 52})
CAT = Result(
    predictions=(Prediction("Egyptian_cat", 0.7587),),
    inference_time_ms=12.5,
    model="resnet50",
    digest="0123456789ab",
    cache="miss",
)


def test_an_answer_is_a_typed_result():
    """It brings together what the service says in the body and in the headers."""
    with ScriptedService() as service, Client(service.url) as client:
        result = client.classify(PHOTO)

        assert result == CAT
        assert result.best == Prediction("Egyptian_cat", 0.7587)


def test_a_path_bytes_and_an_open_file_are_the_same_picture(tmp_path):
    """The client closes the files that it opened itself (otherwise a warning fails the test), and no others."""
    path = tmp_path / "cat.jpg"
    path.write_bytes(PHOTO)
    with ScriptedService() as service, Client(service.url) as client, path.open("rb") as opened:
        for picture in (path, str(path), PHOTO, opened, io.BytesIO(PHOTO)):
            assert client.classify(picture) == CAT

        assert not opened.closed
        assert all(PHOTO in request.body for request in service.requests)
        assert len(service.requests) == 5


def test_the_parameters_are_sent_with_the_picture_if_they_are_given():
    """Otherwise the service's defaults apply."""
    with ScriptedService() as service, Client(service.url) as client:
        client.classify(PHOTO)
        client.classify(PHOTO, top_k=3, min_score=0.25)
        plain, full = service.requests

        assert b'name="top_k"' not in plain.body
        assert b'name="min_score"' not in plain.body
        assert b'name="top_k"\r\n\r\n3\r\n' in full.body
        assert b'name="min_score"\r\n\r\n0.25\r\n' in full.body


def test_the_model_is_asked_for_by_those_who_name_one_and_the_result_says_which_it_was():
    described = Answer(headers={"X-Model": "lite@0123456789ab", "X-Model-Version": "2"})
    with ScriptedService(described, Answer()) as service, Client(service.url) as client:
        named, unnamed = client.classify(b"photo", model="lite@2"), client.classify(b"photo")

    assert b'name="model"\r\n\r\nlite@2' in service.requests[0].body
    assert b'name="model"' not in service.requests[1].body
    assert [(one.model, one.version) for one in (named, unnamed)] == [("lite", "2"), ("resnet50", "1")]


def test_a_model_that_the_service_does_not_know_is_an_error_of_its_own():
    refused = problem(404, "there is no model lite")
    with (
        ScriptedService(refused) as service,
        Client(service.url) as client,
        pytest.raises(NoSuchModel, match="lite"),
    ):
        client.submit(b"photo", model="lite")


def test_the_models_of_a_service_are_listed():
    version = {"version": "2", "workers": 3, "labels": 1000, "licence": "MIT"}
    body = {"models": [{"name": "lite", "current": "2", "default": True, "versions": [version, {"version": "1"}]}]}
    with ScriptedService(Answer(body=json.dumps(body).encode())) as service, Client(service.url) as client:
        (model,) = client.models()

    assert model == Model(
        name="lite", version="2", default=True, versions=("2", "1"), workers=3, labels=1000, licence="MIT"
    )


@pytest.mark.parametrize("body", [{}, {"models": 1}, {"models": [{}]}, {"models": [{"name": "lite", "versions": 1}]}])
def test_a_list_of_models_that_is_none_is_an_unexpected_answer(body):
    with (
        ScriptedService(Answer(body=json.dumps(body).encode())) as service,
        Client(service.url) as client,
        pytest.raises(UnexpectedAnswer),
    ):
        client.models()


def test_a_damaged_picture_is_asked_for_only_by_those_who_want_it():
    """A service that is older than the parameter is sent nothing new by all others."""
    with ScriptedService(*[Answer()] * 4, *[job_answer("queued")] * 2) as service, Client(service.url) as client:
        client.classify(PHOTO)
        client.classify(PHOTO, strict=False)
        for strict in (True, False):
            list(client.classify_many([PHOTO], strict=strict))
        for strict in (True, False):
            client.submit(PHOTO, strict=strict)
        asked = [b'name="strict"\r\n\r\nfalse\r\n' in request.body for request in service.requests]

        assert asked == [False, True] * 3
        assert [b'name="strict"' in request.body for request in service.requests] == asked


@pytest.mark.parametrize(("said", "damaged"), [({"damaged": True}, True), ({"damaged": False}, False), ({}, False)])
def test_a_result_says_whether_the_picture_is_damaged(said, damaged):
    """A request's and a job's; to those who did not ask, the service says nothing."""
    answer = Answer(200, json.dumps({**SEEN, **said}).encode())
    done = job_answer("done", result={**SEEN, "model": "resnet50", "digest": "0" * 64, **said})
    with ScriptedService(answer, done) as service, Client(service.url) as client:
        assert client.classify(PHOTO, strict=False).damaged is damaged
        assert client.job(JOB_ID).result().damaged is damaged


def test_a_path_in_the_address_is_put_before_the_route():
    """Behind a proxy the service may not be at the root."""
    with ScriptedService() as service, Client(f"{service.url}/cats/") as client:
        client.classify(PHOTO)

        assert service.requests[0].path == "/cats/infer"


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "localhost", "ftp://host", "http://", ""])
def test_a_bad_address_is_refused_at_once(address):
    """Before the first picture is sent."""
    with pytest.raises(ValueError, match=r"not an http or https address|Failed to parse"):
        Client(address)


@pytest.mark.parametrize(
    "busy",
    [
        problem(503, Retry_After="0"),
        problem(429, Retry_After="0"),
        problem(503, Retry_After=format_datetime(datetime.now(UTC) - timedelta(minutes=1), usegmt=True)),
        HangUp(),
    ],
    ids=["503", "429", "503 until a date", "no answer"],
)
def test_a_service_that_is_busy_twice_is_asked_three_times(busy):
    """Each time the whole picture is sent."""
    with ScriptedService(busy, busy) as service, Client(service.url) as client:
        assert client.classify(PHOTO) == CAT
        assert [PHOTO in request.body for request in service.requests] == [True] * 3


@pytest.mark.parametrize(
    "header",
    ["120", format_datetime(datetime.now(UTC) + timedelta(days=1)), "9" * 400],
    ids=["seconds", "a date", "seconds without end"],  # the date would differ between processes
)
def test_a_wait_longer_than_the_time_that_is_left_is_not_begun(header):
    """The caller learns at once how long the service wants to be left alone."""
    with ScriptedService(problem(503, "the queue is too long", Retry_After=header)) as service:
        with Client(service.url) as client, pytest.raises(Overloaded, match="the queue is too long") as error:
            client.classify(PHOTO)

        assert error.value.status == 503
        assert error.value.retry_after_s is not None
        assert error.value.retry_after_s >= 120
        assert len(service.requests) == 1


def test_a_sender_over_its_limit_is_told_for_how_long():
    """It may wait for that itself; a program that knows only ``Overloaded`` goes on as before."""
    with ScriptedService(problem(429, "1000 requests a day", Retry_After="7200")) as service:
        with Client(service.url) as client, pytest.raises(OverLimit, match="1000 requests a day") as error:
            client.classify(PHOTO)

        assert (error.value.status, error.value.retry_after_s) == (429, 7200.0)
        assert isinstance(error.value, Overloaded)
        assert len(service.requests) == 1


@pytest.mark.parametrize("header", ["soon", "-5", ""])
def test_an_unreadable_retry_after_counts_as_none(header):
    """A proxy's header must neither break a program nor make it hammer the service."""
    with ScriptedService(problem(503, Retry_After=header)) as service, Client(service.url, timeout_s=0.5) as client:
        with pytest.raises(Overloaded) as error:
            client.classify(PHOTO)

        assert error.value.retry_after_s is None
        assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidPicture), (413, InvalidPicture), (415, InvalidPicture), (422, InvalidPicture),
        (401, Unauthorized), (403, Forbidden), (404, UnexpectedAnswer), (405, UnexpectedAnswer),
        (500, ServiceFault), (502, ServiceFault), (504, DeadlineExceeded),
    ],
)  # fmt: skip
def test_every_other_error_has_a_type_of_its_own_and_is_not_retried(status, error):
    """The service's own words reach the caller."""
    with ScriptedService(problem(status, "the picture has no pixels")) as service, Client(service.url) as client:
        with pytest.raises(error, match="the picture has no pixels") as raised:
            client.classify(PHOTO)

        assert raised.value.status == status
        assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(200, b"<h1>Welcome to nginx!</h1>"), UnexpectedAnswer),
        (Answer(200, b"[]"), UnexpectedAnswer),
        (Answer(200, b'{"predictions": [{"label": "cat"}], "inference_time_ms": 1}'), UnexpectedAnswer),
        (Answer(200, json.dumps(SEEN).encode(), {}), UnexpectedAnswer),
        (Answer(301, b"", {"Location": "https://elsewhere.example/"}), UnexpectedAnswer),
        (Answer(404, b"<h1>Not Found</h1>"), UnexpectedAnswer),
        (Answer(404, b"\xff\xfe"), UnexpectedAnswer),
        (Answer(502, b"<h1>Bad Gateway</h1>"), ServiceFault),
    ],
    ids=["a page", "a list", "half", "no headers", "moved", "404", "no text", "a proxy's 502"],
)  # fmt: skip
def test_an_answer_from_something_else_is_never_taken_for_a_result(answer, error):
    """Wrong addresses, and proxies on the way, are the first thing to go wrong."""
    with ScriptedService(answer) as service, Client(service.url) as client, pytest.raises(error):
        client.classify(PHOTO)


def test_a_service_that_is_not_there_is_unreachable():
    """It may be restarting, so the client retries for a moment before it gives up."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but not listening: connections are refused
        client = Client(f"http://127.0.0.1:{nobody.getsockname()[1]}", timeout_s=1)
        with pytest.raises(Unreachable, match="can't be reached") as error:
            client.classify(PHOTO)

    assert error.value.status is None


def test_a_service_that_takes_the_picture_and_never_answers_is_given_up_in_time():
    """Nothing hangs."""
    over = threading.Event()

    def never(_: Request) -> Answer:
        over.wait()
        return Answer()

    with ScriptedService(play=never) as service, Client(service.url, timeout_s=0.2) as client:
        with pytest.raises(DeadlineExceeded, match="no answer in time"):
            client.classify(PHOTO)
        over.set()


def test_a_service_that_never_reads_the_picture_is_given_up_in_time():
    """Sending does not hang either."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        client = Client(f"http://127.0.0.1:{deaf.getsockname()[1]}", timeout_s=0.2)
        with pytest.raises((DeadlineExceeded, Unreachable)):
            client.classify(bytes(50_000_000))


def test_a_file_that_cannot_be_read_is_an_ordinary_os_error(tmp_path):
    """Nothing is sent to the service."""
    with ScriptedService() as service, Client(service.url) as client:
        with pytest.raises(FileNotFoundError):
            client.classify(tmp_path / "missing.jpg")

        assert service.requests == []


def test_a_closed_client_says_so():
    client = Client("http://127.0.0.1:9")
    client.close()

    with pytest.raises(RuntimeError, match="closed"):
        client.classify(PHOTO)


def test_many_outcomes_keep_the_order_of_the_pictures_and_each_fails_alone(tmp_path):
    """Whichever is answered first, and whatever happens to the others."""

    def play(request: Request) -> Answer | HangUp:
        if b"slow" in request.body:
            time.sleep(0.2)
        if b"bad 3" in request.body:
            return problem(422, "cut short")
        return Answer()

    pictures = [b"slow 1", b"2", b"bad 3", tmp_path / "missing.jpg", b"slow 5", *[b"more"] * 20]
    with ScriptedService(play=play) as service, Client(service.url) as client:
        outcomes = list(client.classify_many(pictures, at_once=3))

        assert [outcome.picture for outcome in outcomes] == pictures
        assert [type(outcome.error) for outcome in outcomes[:5]] == [
            type(None), type(None), InvalidPicture, FileNotFoundError, type(None)
        ]  # fmt: skip
        assert outcomes[0].result == CAT
        with pytest.raises(InvalidPicture, match="cut short"):
            _ = outcomes[2].result
        assert 1 < service.busiest <= 3


def test_an_endless_stream_of_pictures_is_read_only_a_little_ahead():
    """A camera, or a bucket of millions: memory does not grow, and stopping early leaves nothing running."""
    read = itertools.count()
    with ScriptedService() as service, Client(service.url) as client:
        outcomes = client.classify_many((b"picture %d" % number for number in read), at_once=2)
        first = list(itertools.islice(outcomes, 10))
        outcomes.close()

        assert [outcome.picture for outcome in first] == [b"picture %d" % number for number in range(10)]
        assert next(read) <= 10 + 4


def test_stopping_early_ends_the_waits_of_pictures_already_begun():
    """Ctrl-C must not take as long as a busy service's Retry-After."""
    busy = problem(503, Retry_After="30")
    with ScriptedService(Answer(), *[busy] * 9) as service, Client(service.url) as client:
        outcomes = client.classify_many([PHOTO] * 3, at_once=1)
        assert next(outcomes).result == CAT
        outcomes.close()

    waiting = [thread for thread in threading.enumerate() if thread.name.startswith("classify")]
    for thread in waiting:
        thread.join(10)
    assert not any(thread.is_alive() for thread in waiting)


def test_a_job_gives_its_result_when_it_is_done():
    """The client asks as often as the service says; the digest is as short as in any other result."""
    script = [job_answer("queued"), job_answer("queued"), job_answer("running"), DONE]
    with ScriptedService(*script) as service, Client(service.url) as client:
        job = client.submit(PHOTO, top_k=3)
        result = job.result()

        assert job.id == JOB_ID
        assert result == replace(CAT, cache=None)
        assert [(request.method, request.path) for request in service.requests] == [
            ("POST", "/v1/jobs"), *[("GET", f"/v1/jobs/{JOB_ID}")] * 3
        ]  # fmt: skip


def test_a_picture_becomes_one_job_however_often_it_has_to_be_sent():
    """The service may have accepted it before the connection broke; the key shows that it is the same."""
    with ScriptedService(HangUp(), problem(503, Retry_After="0"), *[job_answer("queued")] * 2) as service:
        with Client(service.url) as client:
            client.submit(PHOTO)
            client.submit(PHOTO, key="order-7")
        first, *retries, named = (request.headers["Idempotency-Key"] for request in service.requests)

        assert retries == [first, first]
        assert named == "order-7"


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (job_answer("failed", error={"kind": "undecodable", "detail": "cut short"}), InvalidPicture, "cut short"),
        (job_answer("failed", error={"kind": "too_many_pixels", "detail": "too large"}), InvalidPicture, "too large"),
        (job_answer("failed", error={"kind": "given_up", "detail": "given up"}), ServiceFault, "given up"),
        (job_answer("cancelled"), JobCancelled, "was cancelled"),
        (job_answer("running"), DeadlineExceeded, "still running"),
        (problem(404, "it has expired"), NoSuchJob, "it has expired"),
        (job_answer("on fire"), UnexpectedAnswer, "on fire"),
        (job_answer("done", result={}), UnexpectedAnswer, "not an answer"),
        (Answer(200, b"<h1>Welcome to nginx!</h1>"), UnexpectedAnswer, "nginx"),
    ],
)
def test_a_job_without_a_result_says_why(answer, error, says):
    """With the same error types as ``classify``."""
    with ScriptedService(answer) as service, Client(service.url) as client, pytest.raises(error, match=says):
        client.job(JOB_ID).result(timeout_s=0)


def test_a_job_is_waited_for_through_a_restart_of_the_service():
    """The job survives a restart, so waiting for it must too."""
    with ScriptedService(HangUp(), DONE) as service, Client(service.url) as client:
        assert client.job(JOB_ID).result().best == CAT.best


def test_a_job_has_a_state_and_can_be_cancelled_until_it_ends():
    with ScriptedService(job_answer("running"), job_answer("cancelled"), problem(409), problem(404)) as service:
        with Client(service.url) as client:
            job = client.job(JOB_ID)

            assert job.state() == "running"
            assert job.cancel() is True
            assert job.cancel() is False
            with pytest.raises(NoSuchJob):
                job.cancel()
        assert [request.method for request in service.requests] == ["GET", "DELETE", "DELETE", "DELETE"]


def test_a_keys_jobs_are_listed_page_by_page():
    def page(more: bool, *ids: str) -> Answer:
        return Answer(200, json.dumps({"jobs": [{"id": job_id} for job_id in ids], "page": 1, "more": more}).encode())

    with ScriptedService(page(True, "a", "b"), page(False, "c")) as service, Client(service.url, key="k") as client:
        assert [job.id for job in client.jobs()] == ["a", "b", "c"]
        assert [request.path for request in service.requests] == ["/v1/jobs?page=1", "/v1/jobs?page=2"]
    with ScriptedService(problem(403)) as service, Client(service.url) as client, pytest.raises(Forbidden):
        next(client.jobs())


def test_an_id_from_anywhere_leads_to_no_other_route():
    """Programs read IDs from their users."""
    with ScriptedService(problem(404)) as service, Client(service.url) as client:
        with pytest.raises(NoSuchJob):
            client.job("../../admin?x=#").state()

        assert service.requests[0].path == "/v1/jobs/..%2F..%2Fadmin%3Fx%3D%23"


def test_errors_survive_a_process_pool():
    """Programs pass them between processes."""
    error = pickle.loads(pickle.dumps(Overloaded("busy", 503, 2.0)))  # noqa: S301  # our own

    assert (type(error), str(error), error.status, error.retry_after_s) == (Overloaded, "busy", 503, 2.0)


def test_the_projects_extra_needs_what_the_client_needs():
    """``pip install ".[client]"`` and ``pip install ./client`` are the same client."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())["project"]

    assert project["optional-dependencies"]["client"] == own["dependencies"]
    assert project["requires-python"] == own["requires-python"]

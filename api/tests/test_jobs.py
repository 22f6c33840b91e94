"""``/v1/jobs`` over HTTP, on a real server with scripted workers."""

from __future__ import annotations

import errno
import io
import os
from threading import Event
from typing import TYPE_CHECKING, Any

import gevent
import pytest

from api.app import create_app
from api.services import Services
from api.settings import Settings
from contract.job_queue import async_queue_name, queue_name
from contract.model_task import ModelTask
from contract.worker_registry import WorkerEntry, heartbeat, register
from tests.support.scripted_worker import DIGEST, GIF, MODEL
from tests.support.workers import ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask.testing import FlaskClient
    from redis import Redis
    from werkzeug.test import TestResponse

    from tests.support.server import Server

PROBLEM = "application/problem+json"
NOBODY = "0" * 32


@pytest.fixture
def workers(valkey: Server, redis: Redis, tmp_path: Path) -> Iterator[ScriptedWorkers]:
    """A server on which no worker is alive, but one was: so the API knows for which model to queue jobs."""
    register(redis, [MODEL])
    workers = ScriptedWorkers(valkey, tmp_path)
    yield workers
    workers.close()


@pytest.fixture
def open_client(valkey: Server, tmp_path: Path) -> Iterator[Callable[..., FlaskClient]]:
    opened: list[Services] = []

    def open_client(**settings: Any) -> FlaskClient:
        common = {"redis_url": valkey.api_url, "upload_dir": tmp_path / "uploads", "feedback_dir": tmp_path}
        opened.append(Services.connect(Settings(**{**common, **settings})))
        return create_app(opened[-1]).test_client()

    yield open_client
    for services in opened:
        services.queue.close()


@pytest.fixture
def client(open_client: Callable[..., FlaskClient]) -> FlaskClient:
    return open_client()


def submit(client: FlaskClient, script: str = "tabby", key: str | None = None, field: str = "file", **parameters: str):
    form = {field: (io.BytesIO(GIF + script.encode()), "photo.gif"), **parameters}
    return client.post("/v1/jobs", data=form, headers={} if key is None else {"Idempotency-Key": key})


def ended(client: FlaskClient, accepted: TestResponse) -> Any:
    """The job's body once it is neither queued nor running."""

    def look() -> Any:
        body = client.get(accepted.headers["Location"]).get_json()
        return body["state"] not in {"queued", "running"} and body

    return eventually(look, "the job ends")


def problem(response: TestResponse) -> int:
    assert response.content_type == PROBLEM
    assert response.get_json()["status"] == response.status_code
    return response.status_code


def test_a_job_is_accepted_before_it_is_done(workers, client):
    """202, its address, and when to ask again; with no worker alive it waits for one."""
    accepted = submit(client)
    body = accepted.get_json()

    assert accepted.status_code == 202
    assert accepted.headers["Location"] == f"/v1/jobs/{body['id']}"
    assert int(accepted.headers["Retry-After"]) > 0
    assert list(body) == ["id", "image", "state", "created", "expires", "links"]
    assert body["state"] == "queued"
    assert body["links"]["self"] == accepted.headers["Location"]
    assert body["links"]["display"].startswith(f"/display/{body['image']}?expires=")
    assert workers.redis.llen(f"rq:queue:{async_queue_name(MODEL)}") == 1


@pytest.mark.usefixtures("workers")
def test_a_job_is_accepted_once_its_picture_is_on_the_disk(client, tmp_path, monkeypatch):
    """Its record is in Redis' log within a second; without the picture a power failure would leave half a job."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    accepted = submit(client)

    assert accepted.status_code == 202
    assert [path for path in (tmp_path / "uploads").glob("*/*") if path.stat().st_ino not in synced] == []


def test_no_job_is_made_if_the_disk_refuses_the_picture(workers, client, monkeypatch):
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)

    assert problem(submit(client)) == 503
    assert workers.redis.keys("ticket:*") == []


@pytest.mark.usefixtures("workers")
def test_while_a_job_waits_for_the_disk_others_are_served(client, monkeypatch):
    """All requests of a process share one thread, which must not wait for a disk."""
    other_served = Event()

    def slow_disk(_descriptor: int) -> None:
        if not other_served.wait(5):
            raise OSError(errno.ETIMEDOUT, "the other request was not served meanwhile")

    monkeypatch.setattr(os, "fsync", slow_disk)
    job = gevent.spawn(submit, client)
    gevent.sleep(0)  # it runs until it waits
    other = client.application.test_client().get("/livez")
    other_served.set()

    assert other.status_code == 200
    assert job.get().status_code == 202


def test_a_job_that_is_done_shows_its_result(workers, client):
    accepted = submit(client)
    workers.start()
    body = ended(client, accepted)

    assert body["state"] == "done"
    assert body["result"] == {
        "model": MODEL,
        "version": "1",
        "digest": DIGEST,
        "predictions": [{"label": "tabby", "confidence": 1.0}],
        "inference_time_ms": 0.0,
    }
    assert "Retry-After" not in client.get(accepted.headers["Location"]).headers


def test_a_job_whose_answer_is_known_is_done_at_once(workers, client):
    """Still 202 with an address: senders need to know only one way."""
    workers.start()
    ended(client, submit(client))
    again = submit(client)

    assert again.status_code == 202
    assert again.get_json()["state"] == "done"
    assert workers.batches() == ["tabby"]


def test_without_the_result_cache_every_job_is_computed(workers, open_client):
    workers.start()
    client = open_client(result_cache=False)
    for _ in range(2):
        ended(client, submit(client))

    assert workers.batches() == ["tabby", "tabby"]


@pytest.mark.parametrize(("script", "kind"), [("bad", "undecodable"), ("fault", "given_up")])
def test_a_job_that_failed_says_why(workers, client, script, kind):
    workers.start()
    body = ended(client, submit(client, script))

    assert body["state"] == "failed"
    assert body["error"]["kind"] == kind
    assert body["error"]["detail"]
    assert "result" not in body


@pytest.mark.usefixtures("workers")
def test_top_k_and_min_score_belong_to_the_job(workers, client):
    """They are sent once, with the picture, and apply to every reading of the result."""
    workers.start()

    assert ended(client, submit(client, top_k="1", min_score="1"))["result"]["predictions"] == [
        {"label": "tabby", "confidence": 1.0}
    ]
    assert problem(submit(client, top_k="0")) == 400
    assert problem(submit(client, max_detections="3")) == 400  # the model finds no objects
    assert problem(submit(client, min_score="2")) == 400


def test_strict_belongs_to_the_job(workers, client):
    """Its result says whether the picture is damaged; that of a strict job has nothing to say of it."""
    strict, lenient, sound = submit(client, "damaged"), submit(client, "damaged", strict="false"), submit(client)
    workers.start()

    assert ended(client, strict)["error"]["kind"] == "undecodable"
    assert ended(client, lenient)["result"]["damaged"] is True
    assert "damaged" not in ended(client, sound)["result"]
    assert ended(client, submit(client, strict="false"))["result"]["damaged"] is False
    assert problem(submit(client, strict="0")) == 400


def test_the_result_of_an_animated_gif_says_that_its_first_frame_counted(workers, client):
    """The job's record knows it: the worker that answers, or answered the same picture long ago, does not."""
    workers.start()
    sent = [submit(client, script) for script in ("\x01x\0,", "tabby", "\x01x\0,")]  # the comma begins another frame

    assert [ended(client, job)["result"].get("first_frame_only") for job in sent] == [True, None, True]


def test_a_lenient_jobs_known_answer_is_that_of_lenient_requests(workers, client):
    workers.start()
    ended(client, submit(client, "damaged", strict="false"))

    assert submit(client, "damaged", strict="false").get_json()["result"]["damaged"] is True
    assert submit(client, "damaged").get_json()["state"] == "queued"


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("field", ["file", "image", "files"])
def test_the_picture_is_accepted_in_any_of_the_fields(client, field):
    assert submit(client, field=field).status_code == 202


@pytest.mark.usefixtures("workers")
def test_no_job_is_made_of_what_is_not_a_picture(workers, client):
    form = {"file": (io.BytesIO(b"hello"), "photo.jpg")}

    assert problem(client.post("/v1/jobs", data=form)) == 415
    assert problem(client.post("/v1/jobs")) == 400
    assert workers.redis.keys("ticket:*") == []


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("method", ["get", "delete"])
@pytest.mark.parametrize("name", [NOBODY, "x", "0" * 33, "..%2f..", "%00", "🐈"])
def test_an_id_of_no_job_is_not_found(client, method, name):
    """Unknown, expired or malformed: the answer is the same."""
    assert problem(getattr(client, method)(f"/v1/jobs/{name}")) == 404


# Idempotency


@pytest.mark.usefixtures("workers")
def test_the_same_key_returns_the_same_job(client):
    """A sender that lost the first answer sends again, quoted as in the IETF's draft, or bare: both are the same."""
    first = submit(client, key='"order-7"')
    again = submit(client, key="order-7")

    assert again.status_code == first.status_code == 202
    assert again.get_json()["id"] == first.get_json()["id"]
    assert again.headers["Location"] == first.headers["Location"]


@pytest.mark.usefixtures("workers")
def test_the_same_key_with_something_else_is_unprocessable(client):
    submit(client, key="order-7", top_k="3")

    assert problem(submit(client, "lynx", key="order-7", top_k="3")) == 422
    assert problem(submit(client, key="order-7", top_k="4")) == 422
    assert problem(submit(client, key="order-7", top_k="3", strict="false")) == 422
    assert submit(client, key="order-7", top_k="3").status_code == 202


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("key", ["", '""', "x" * 256, "schl\u00fcssel", "a\tb"])
def test_an_invalid_key_is_refused(workers, client, key):
    assert problem(submit(client, key=key)) == 400
    assert workers.redis.keys("ticket:*") == []


# Cancelling


def test_a_cancelled_job_stays_cancelled(workers, client):
    """Even when it is cancelled again, and when its key is sent again."""
    accepted = submit(client, key="order-7")
    for _ in range(2):
        response = client.delete(accepted.headers["Location"])
        assert (response.status_code, response.get_json()["state"]) == (200, "cancelled")
    workers.start()
    eventually(lambda: not workers.redis.exists(f"rq:queue:{async_queue_name(MODEL)}"), "its turn comes")

    assert client.get(accepted.headers["Location"]).get_json()["state"] == "cancelled"
    assert submit(client, key="order-7").get_json()["state"] == "cancelled"
    assert workers.batches() == []


@pytest.mark.parametrize("script", ["tabby", "bad"])
def test_a_job_that_has_ended_cannot_be_cancelled(workers, client, script):
    workers.start()
    accepted = submit(client, script)
    body = ended(client, accepted)

    assert problem(client.delete(accepted.headers["Location"])) == 409
    assert client.get(accepted.headers["Location"]).get_json() == body


# Admission


def test_no_job_is_accepted_where_no_worker_was_ever_registered(redis, client):
    """The model that will answer is unknown."""
    response = submit(client)

    assert problem(response) == 503
    assert "Retry-After" in response.headers
    assert redis.keys("ticket:*") == []


def test_a_job_is_accepted_when_a_request_would_wait_too_long(workers, client):
    """It has time. Retry-After says how long, within reason."""
    busy(workers, service_ms=2000)
    workers.redis.rpush(f"rq:queue:{queue_name(MODEL)}", *(f"job-{n}" for n in range(100)))
    accepted = submit(client)

    assert accepted.status_code == 202
    assert accepted.headers["Retry-After"] == "30"


def test_waiting_jobs_do_not_make_requests_be_refused(workers, client):
    """Requests go first."""
    busy(workers, service_ms=2000)
    workers.redis.rpush(f"rq:queue:{async_queue_name(MODEL)}", *(f"job-{n}" for n in range(100)))
    with client.application.app_context():
        Services.current().inference.admit(ModelTask.CLASSIFICATION)


def test_a_job_that_would_expire_before_its_turn_is_not_accepted(workers, open_client):
    """Accepting it would be losing it."""
    busy(workers, service_ms=2000)
    workers.redis.rpush(f"rq:queue:{async_queue_name(MODEL)}", *(f"job-{n}" for n in range(100)))
    response = submit(open_client(job_ttl_s=60))

    assert problem(response) == 503
    assert 160 <= int(response.headers["Retry-After"]) <= 180
    assert workers.redis.keys("ticket:*") == []


def test_requests_are_still_accepted_when_redis_is_full_of_jobs(workers, open_client):
    """Jobs stay for a day: they leave room for requests."""
    workers.start()
    with workers.redis_filled_to(0.7):
        client = open_client()
        refused = submit(client)
        predicted = client.post("/predict", data={"file": (io.BytesIO(GIF + b"tabby"), "photo.gif")})

    assert problem(refused) == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert predicted.status_code == 200


def test_an_absent_redis_is_reported_as_such(open_client, tmp_path):
    client = open_client(redis_url=f"unix://{tmp_path}/nothing")

    assert [problem(response) for response in (submit(client), client.get(f"/v1/jobs/{NOBODY}"))] == [503, 503]


def busy(workers: ScriptedWorkers, service_ms: float) -> None:
    """A worker that is only registered: the API relies on it, and no process takes the jobs."""
    entry = WorkerEntry(worker_id="paper", host="h", model=MODEL, digest=DIGEST, batch=1, service_ms=service_ms)
    heartbeat(workers.redis, entry)


@pytest.mark.usefixtures("workers")
def test_a_sender_who_has_too_many_jobs_is_refused_and_another_is_not(open_client):
    client = open_client(jobs_per_sender=1)
    assert submit(client).status_code == 202
    refused = submit(client, "lynx")
    client.environ_base["REMOTE_ADDR"] = "192.0.2.7"

    assert (refused.status_code, refused.content_type) == (429, PROBLEM)
    assert int(refused.headers["Retry-After"]) > 3600
    assert submit(client, "lynx").status_code == 202


def test_a_job_whose_end_was_fetched_expires_ten_minutes_later(workers, client):
    workers.start()
    accepted = submit(client)
    done = ended(client, accepted)

    assert done["expires"] < accepted.get_json()["expires"]
    assert client.get(accepted.headers["Location"]).get_json() == done

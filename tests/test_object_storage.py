"""The API and workers with their pictures in an object store, and what the store's faults cost."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import requests

from contract.image_store.bucket_store import BucketStore
from model.worker import EXIT_NO_STORE
from tests.support.api import Api
from tests.support.scripted_worker import GIF
from tests.support.stack import ROOT
from tests.support.workers import WAIT_S, ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.object_store import ObjectStore
    from tests.support.server import Server

EXIT_BAD_SETTINGS = 2


@pytest.fixture
def place(object_store: ObjectStore) -> dict[str, str]:
    """Settings of a part of the object store that nobody else uses."""
    prefix = uuid4().hex
    return {**object_store.environment, "IMAGE_STORE": object_store.place(prefix), "IMAGE_STORE_TIMEOUT_S": "12"}


@pytest.fixture
def pictures(object_store: ObjectStore, place: dict[str, str]) -> BucketStore:
    """To look into it."""
    return BucketStore(object_store.bucket(place["IMAGE_STORE"].rpartition("/")[2]))


@pytest.fixture
def workers(valkey: Server, tmp_path: Path) -> Iterator[ScriptedWorkers]:
    workers = ScriptedWorkers(valkey, tmp_path)
    workers.redis.flushall()
    yield workers
    workers.close()


@pytest.fixture
def api(valkey: Server, workers: ScriptedWorkers, place: dict[str, str]) -> Iterator[Api]:
    workers.start(**place)
    with Api(valkey.api_url, workers.folder, processes=1, **place) as api:
        yield api


def predict(api: Api, script: str) -> requests.Response:
    return requests.post(f"{api.url}/predict", files={"file": ("photo.gif", GIF + script.encode())}, timeout=WAIT_S)


def create(api: Api, script: str) -> str:
    """A job of /v1/jobs; returns its address."""

    def accepted() -> str | None:
        files = {"file": ("photo.gif", GIF + script.encode())}
        answer = requests.post(f"{api.url}/v1/jobs", files=files, timeout=WAIT_S)
        return answer.headers["Location"] if answer.status_code == 202 else None

    return str(api.url + eventually(accepted, "a job is accepted"))


def job(address: str) -> dict[str, Any]:
    return dict(requests.get(address, timeout=WAIT_S).json())


def stored(pictures: BucketStore) -> int:
    return sum(len(page) for page in pictures.pages())


@pytest.mark.long
def test_a_store_that_hangs_stops_nothing_that_does_not_need_it(api, object_store, pictures):
    """Stored answers are given, and nothing is written for them; what is new is refused, in time and in words."""
    eventually(lambda: predict(api, "tabby").status_code == 200, "a picture is answered")
    assert stored(pictures) == 1
    with object_store.frozen(), ThreadPoolExecutor(80) as senders:
        new = [senders.submit(predict, api, f"new {number}") for number in range(40)]
        known = list(senders.map(lambda _: predict(api, "tabby"), range(40)))
        alive = api.get("/livez")
        refused = [request.result() for request in new]

    assert alive.status_code == 200
    assert {(answer.status_code, answer.headers["X-Cache"]) for answer in known} == {(200, "hit")}
    assert {(answer.status_code, "Retry-After" in answer.headers) for answer in refused} == {(503, True)}
    eventually(lambda: api.get("/readyz").status_code == 200, "the service is ready again")
    eventually(lambda: predict(api, "after it").status_code == 200, "new pictures are answered again")


@pytest.mark.long
def test_a_job_that_was_accepted_is_computed_once_the_store_is_back(api, workers, place, object_store):
    """However often workers have tried meanwhile: it is not the picture's fault."""
    workers.kill_all()
    where = create(api, "tabby")
    with object_store.frozen():
        workers.start(**place | {"IMAGE_STORE_TIMEOUT_S": "1"})
        log = workers.folder / "workers.log"
        eventually(lambda: log.read_text().count("trying again") > 3, "a worker has tried it several times")
        assert job(where)["state"] == "queued"
    assert workers.batches() == []

    eventually(lambda: job(where)["state"] == "done", "it is computed")


def test_a_picture_that_the_store_has_lost_is_told_and_stored_when_it_is_sent_again(api, workers, place, pictures):
    """Other bytes are never computed on, though the store says that all is well."""
    eventually(lambda: predict(api, "tabby").status_code == 200, "a picture is stored and answered")
    [[found]] = pictures.pages()
    bucket, path = pictures._bucket, f"pictures/{found.name[:2]}/{found.name}"
    workers.redis.flushall()
    workers.start(**place)
    bucket.replace(path, GIF + b"tapir")

    eventually(lambda: predict(api, "tabby").status_code == 200, "it was stored again and answered")
    assert pictures.read(found.name) == GIF + b"tabby"
    assert not any("tapir" in batch for batch in workers.batches())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"IMAGE_STORE": "s3://no-such-bucket/here"}, "bucket is not there"),
        pytest.param({"AWS_ACCESS_KEY_ID": "stranger"}, "credentials are refused", marks=pytest.mark.long),
        ({"IMAGE_STORE": "s3:/pictures"}, "must be a folder, or s3://"),
        pytest.param(
            {"IMAGE_STORE": "az://pictures/here", "IMAGE_STORE_ENDPOINT": ""}, "not set up", marks=pytest.mark.long
        ),
    ],
    ids=["no bucket", "wrong credentials", "malformed", "no account"],
)
@pytest.mark.parametrize("side", ["api", "worker"])
def test_what_is_set_up_wrongly_is_told_at_the_start(*, side, wrong, said, place, valkey, tmp_path):
    """Found out later, senders would learn it first."""
    commands = {"api": ["gunicorn", "--config", "python:api.gunicorn_conf", "api.wsgi:app"], "worker": ["model.worker"]}
    folders = {name: str(tmp_path / name.lower()) for name in ("COPIES_DIR", "FEEDBACK_DIR")}
    settings = {**os.environ, **place, **folders, "PORT": "0", "REDIS_URL": valkey.worker_url, **wrong}
    ended = subprocess.run(
        [sys.executable, "-m", *commands[side]], env=settings, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S,
        check=False,
    )  # fmt: skip

    assert ended.returncode in {EXIT_BAD_SETTINGS, EXIT_NO_STORE}
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr

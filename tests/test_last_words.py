"""A worker whose model can't be served, as whoever asks the API sees it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from api.app import create_app
from api.services import Services
from api.settings import Settings
from contract import keys, last_words
from contract.worker_registry import WorkerEntry
from model.serving.farewell import without_places
from model.serving.registration import Registration
from model.worker import EXIT_NO_MODEL
from tests.support import forks
from tests.support.scripted_worker import DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import Server


@pytest.fixture
def reason(valkey: Server, tmp_path: Path) -> Callable[[], str]:
    """Asks ``/health`` why there is no worker."""
    folders = {name: tmp_path / name for name in ("upload_dir", "copies_dir", "feedback_dir")}
    settings = Settings(redis_url=valkey.api_url, **folders)  # type: ignore[arg-type]  # they are paths
    client = create_app(Services.connect(settings)).test_client()
    return lambda: str(client.get("/health").get_json()["reason"])


def test_health_says_why_there_is_no_worker_and_not_where_the_model_is(valkey, redis, tmp_path, reason):
    """The first thing to be seen of a MODEL_PATH with a slip in it is a page that answers nobody."""
    (tmp_path / "my models").mkdir()
    (tmp_path / "my models" / "net.pt").touch()
    environment = {**os.environ, "REDIS_URL": valkey.worker_url, "MODEL_PATH": str(tmp_path / "my models" / "net.pt")}
    ended = forks.run("model.worker", environment=environment, within_s=60)

    assert ended.returncode == EXIT_NO_MODEL
    assert reason().startswith("no worker is ready: the model can't be served: net.pt is a PyTorch file")
    assert 0 < redis.ttl(keys.LAST_WORDS) <= last_words.KEPT_FOR_S


def test_a_worker_that_begins_takes_back_what_an_earlier_one_said(redis, reason):
    """Once it has worked, a worker that is gone was stopped, or died of something else."""
    last_words.leave(redis, "the model can't be served: model.onnx: its SHA-256 is 12, but the manifest states 34")
    assert "SHA-256" in reason()

    entry = WorkerEntry(worker_id="w", host="h", model="m", digest="d" * 64, batch=1, service_ms=0.0)
    registration = Registration(redis, lambda: None, bulk_share=0.5)
    registration.add(entry, ["a"], DESCRIPTION, claims=True)
    registration.start()
    registration.stop()

    assert reason() == "no worker is ready"


@pytest.mark.parametrize("written", [b"<script>\n", b"x" * 1000, b"", {"a": "b"}])
def test_what_no_worker_has_written_is_not_passed_on(redis, reason, written):
    if isinstance(written, dict):
        redis.hset(keys.LAST_WORDS, mapping=written)
    else:
        redis.set(keys.LAST_WORDS, written)

    assert reason() == "no worker is ready"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("no model at /srv/our models/mine", "no model at mine"),
        ("/srv/our models/mine/model.json: No such file or directory", "mine/model.json: No such file or directory"),
        (
            "model.onnx: Load model from /srv/our models/mine/model.onnx failed",
            "model.onnx: Load model from mine/model.onnx failed",
        ),
        ("open '/etc/other/x.txt': Permission denied", "open 'x.txt': Permission denied"),
        ("its output is float32 ['N', 3] and/or 1/2", "its output is float32 ['N', 3] and/or 1/2"),
    ],
)
def test_of_places_only_the_last_name_is_told(text, left):
    assert without_places(text, [Path("/srv/our models/mine")]) == left

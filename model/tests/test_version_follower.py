"""What a worker says of a version that it is asked to load beside what it serves, and does not take.

Bundles, loader and Redis are real, the worker and its registration are not.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from contract import loading
from contract.limits import DEFAULT_MAX_PIXELS
from contract.loading import LoadReply, LoadRequest
from contract.model_state import ModelState
from model import loader as loader_module
from model.bundle import LABELS, MANIFEST
from model.errors import ModelError
from model.loader import BundleLoader
from model.serving.version_follower import VersionFollower
from model.tests import test_loader
from model.tests.networks import write_bundle
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from redis import Redis

    from model.opening import AnyPredictor

NAME, SERVED, WORKER, HOST = "colours", "colours@1", "w1", "host-1"
OTHERWISE = f"{SERVED} is served already with other weights, labels or preprocessing: a changed model needs another"


class Serving:
    """A worker that serves the first version."""

    def __init__(self, first: AnyPredictor) -> None:
        self.predictors = {first.bundle.model.key: first}

    def serve_too(self, predictor: AnyPredictor) -> None:
        self.predictors[predictor.bundle.model.key] = predictor

    def serve_no_more(self, model: str) -> None:
        raise AssertionError(f"{model} is unloaded")

    def queues(self, _model: str) -> tuple[()]:
        return ()


class Worker:
    def __init__(self, redis: Redis, folder: Path) -> None:
        self.redis, self.folder = redis, folder
        self.loader = BundleLoader(folder, max_pixels=DEFAULT_MAX_PIXELS, num_threads=1, top_k=3)
        self.serving = Serving(self.loader.load(NAME, path="colours-1"))
        registration: Any = SimpleNamespace(
            states={NAME: ModelState("1", None, 1)}, is_registered=lambda model: model in self.serving.predictors
        )
        self.follower = VersionFollower(
            redis, self.loader, self.serving, registration, pinned=(), worker_id=WORKER, host=HOST
        )

    def asked(self, request: LoadRequest) -> LoadReply:
        """What it says within its next heartbeats."""
        loading.begin(self.redis, NAME, request)
        replies: list[LoadReply | None] = []

        def beat() -> bool:
            self.follower.beat()
            replies.append(loading.next_reply(self.redis, request, 0.01))
            return replies[-1] is not None

        eventually(beat, "it answers")
        loading.end(self.redis, NAME, request)
        told = replies[-1]
        assert told is not None
        return told

    def refusal(self, path: str) -> str:
        before = dict(self.serving.predictors)
        told = self.asked(LoadRequest.new(path=path))
        assert (told.worker_id, told.host, told.model) == (WORKER, HOST, "")
        assert self.serving.predictors == before
        return told.refused


@pytest.fixture
def worker(redis: Redis, tmp_path: Path) -> Worker:
    folder = tmp_path / "secret" / "models"
    write_bundle(folder / "colours-1")
    return Worker(redis, folder)


@pytest.fixture
def second(worker: Worker) -> Path:
    """A sound bundle of another version, to be spoilt."""
    return write_bundle(worker.folder / "colours-2", version="2")


def other_labels(bundle: Path) -> None:
    """Of the version that is served."""
    (bundle / LABELS).write_text("red\ngreen\nindigo\n")
    first_again(bundle)


def other_preprocessing(bundle: Path) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    manifest["preprocess"]["shorter_side"] = 41
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    first_again(bundle)


def first_again(bundle: Path) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    (bundle / MANIFEST).write_text(json.dumps(manifest | {"version": "1"}))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (test_loader.first_version, OTHERWISE),
        (other_labels, OTHERWISE),
        (other_preprocessing, OTHERWISE),
        (test_loader.no_manifest, "there is no bundle at colours-2 in the models' folder"),
        (test_loader.garbled_manifest, "model.json: "),
        (test_loader.no_labels, "labels.txt: No such file"),
        (test_loader.no_weights, "model.onnx: No such file"),
        (test_loader.no_golden, "golden.png: No such file"),
        (test_loader.garbled_golden, "golden.png"),
        (test_loader.no_network, "model.onnx"),
        (test_loader.other_name, "colours-2 is shapes@2, and no version of colours"),
    ],
)
def test_what_is_not_taken_is_refused_in_a_sentence_without_places(
    worker: Worker, second: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    """And the worker goes on serving what it has."""
    spoil(second)
    told = worker.refusal("colours-2")

    assert reason in told
    assert "secret" not in told


@pytest.mark.parametrize("path", ["../../outside", "/etc", "", "colours\0", "\ud800", "link", "x" * 5_000])
def test_a_path_that_leads_to_no_bundle_is_refused(worker: Worker, path: str) -> None:
    """The API asks for none of them; whoever can write into Redis could."""
    write_bundle(worker.folder.parents[1] / "outside", version="2")
    (worker.folder / "link").symlink_to(worker.folder.parents[1] / "outside")

    assert worker.refusal(path).startswith("the path ")


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (ModelError("it is no model"), "it is no model"),
        (MemoryError(), "there is no memory for it"),
        (RuntimeError("at /secret/place"), "it could not be loaded; the worker's log says why"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_goes_wrong_is_told_and_the_next_bundle_is_taken(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, trouble: Exception, reason: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise trouble

    write_bundle(worker.folder / "colours-2", version="2")
    with monkeypatch.context() as patch:
        patch.setattr(worker.loader, "load", fail)
        assert worker.refusal("colours-2") == reason

    assert worker.asked(LoadRequest.new(path="colours-2")).model == "colours@2"


@pytest.mark.usefixtures("second")
def test_a_version_for_which_there_is_no_memory_is_refused(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "room_bytes", lambda: 0)

    assert worker.refusal("colours-2").startswith("there is no memory for it: about ")


@pytest.mark.usefixtures("second")
@pytest.mark.parametrize("version", ["3", "words"])
def test_a_version_that_is_not_in_the_folder_is_refused(worker: Worker, version: str) -> None:
    """As for a rollback to one whose bundle is gone."""
    told = worker.asked(LoadRequest.new(version=version)).refused

    assert told.startswith(f"there is no model colours@{version}")
    assert told.endswith("it holds colours@1, colours@2")
    assert "secret" not in told

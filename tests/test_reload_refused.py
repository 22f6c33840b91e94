"""Bundles that a real worker does not take in place of the one that it serves, and what the operator is told."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from api.core.checks import Checks
from api.core.errors import ModelNotChanged
from api.core.live_workers import LiveWorkers
from api.core.model_changes import ModelChanges
from contract import keys
from contract.job_queue import JobQueue
from contract.model_state import ModelState, read_state
from contract.redis_clients import connect, connect_for_waiting
from model.tests import detectors, test_loader
from model.tests.networks import write_bundle
from tests.support.forks import ForkedProgram
from tests.support.workers import WAIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.server import Server

MODEL = "colours"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models' folder of a worker, in a place of which nobody is to be told."""
    folder = tmp_path_factory.mktemp("secret") / "models"
    write_bundle(folder / "colours-1")
    return folder


@pytest.fixture(scope="module")
def redis(valkey: Server) -> Iterator[Redis]:
    with Redis.from_url(valkey.operator_url) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="module")
def changes(valkey: Server, redis: Redis, folder: Path) -> Iterator[ModelChanges]:
    """With one worker, which serves the first version."""
    environment = {
        **os.environ,
        "REDIS_URL": valkey.worker_url,
        "MODELS_DIR": str(folder),
        "MODELS": MODEL,
        "UPLOAD_DIR": str(folder.parent / "uploads"),
        "COPIES_DIR": str(folder.parent / "copies"),
    }
    with (folder.parent / "worker.log").open("wb") as log:
        worker = ForkedProgram("model.worker", environment=environment, stdout=log, stderr=log)
    try:
        eventually(lambda: redis.exists(keys.model(MODEL)), "the worker begins")
        commands, waiting = connect(valkey.api_url), connect_for_waiting(valkey.api_url)
        live_workers = LiveWorkers(commands, JobQueue(commands, waiting))
        yield ModelChanges(commands, waiting, live_workers, Checks(commands))
    finally:
        worker.kill()
        worker.wait(WAIT_S)


@pytest.fixture
def second(folder: Path) -> Iterator[Path]:
    """A sound bundle of another version, to be spoilt."""
    yield write_bundle(folder / "colours-2", version="2")
    shutil.rmtree(folder / "colours-2")


def refusal(changes: ModelChanges, path: str) -> str:
    with pytest.raises(ModelNotChanged) as refused:
        changes.reload(MODEL, path, "an operator")
    return str(refused.value)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (test_loader.broken_checksum, "model.onnx: its SHA-256 is"),
        (test_loader.broken_labels, "labels.txt"),
        (test_loader.wrong_golden, "golden.png: the model says blue, but the manifest expects red"),
        (test_loader.other_shape, "48"),
        (test_loader.other_output, "probabilities"),
        (test_loader.no_network, "model.onnx"),
        (test_loader.no_manifest, "there is no bundle at colours-2 in the models' folder"),
        (test_loader.other_name, "colours-2 is shapes@2, and no version of colours"),
        (test_loader.first_version, "colours@1 is served already with other weights, labels or preprocessing"),
    ],
)
def test_a_bundle_that_is_refused_moves_nothing_and_the_operator_is_told_by_whom_and_why(
    changes: ModelChanges, redis: Redis, second: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(second)
    told = refusal(changes, "colours-2")

    assert told.startswith("worker ")
    assert reason in told
    assert told.endswith("; nothing was changed")
    assert str(second.parents[1]) not in told
    assert read_state(redis, MODEL) == ModelState("1", None, 1)


def test_a_version_that_is_for_another_task_is_no_version_of_the_model(
    changes: ModelChanges, redis: Redis, folder: Path
) -> None:
    """Whoever asks for labels must not be answered with objects."""
    detector = detectors.write_bundle(folder / "colours-3")
    detectors.change_manifest(detector, name=MODEL, version="3")
    told = refusal(changes, "colours-3")

    assert "colours@3 is for detection, and colours@1 for classification: it needs another name" in told
    assert read_state(redis, MODEL) == ModelState("1", None, 1)


def test_a_link_out_of_the_models_folder_leads_nowhere(changes: ModelChanges, folder: Path, second: Path) -> None:
    outside = folder.parent / "outside"
    shutil.copytree(second, outside)
    (folder / "link").symlink_to(outside)

    assert "refuses: the path leads out of the models' folder" in refusal(changes, "link")


def test_a_bundle_that_is_mended_is_taken(changes: ModelChanges, redis: Redis, second: Path) -> None:
    """A worker that has refused one is none the worse for it."""
    test_loader.broken_labels(second)
    refusal(changes, "colours-2")
    shutil.rmtree(second)
    write_bundle(second, version="2")

    assert changes.reload(MODEL, "colours-2", "an operator").current.version == "2"
    assert read_state(redis, MODEL) == ModelState("2", "1", 2)

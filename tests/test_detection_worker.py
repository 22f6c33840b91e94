"""A real worker process that serves a detector beside a classifier: jobs in, objects out, through a real queue."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from contract import keys
from contract.deadline import Deadline
from contract.errors import WorkerFault
from contract.image_store import ImageStore
from contract.job_queue import JobQueue
from contract.messages import (
    Box,
    Classification,
    ClassifyJob,
    DetectedObject,
    Detection,
    DetectJob,
    Failure,
    outcome_from_json,
)
from contract.model_description import read_descriptions
from contract.redis_clients import connect, connect_for_waiting
from contract.worker_registry import live_workers
from model.bundle import load_bundle
from model.tests import detectors, networks
from tests.pictures import odd
from tests.support.forks import ForkedProgram
from tests.support.workers import WAIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from contract.messages import Outcome, Task
    from tests.support.server import Server

DETECTOR, CLASSIFIER = "reds", "colours"
MODELS = {DETECTOR, CLASSIFIER}


class Site:
    """A worker that serves both, and the sender's side."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.bundle = load_bundle(detectors.write_bundle(folder / "reds"))
        networks.write_bundle(folder / "colours")
        self.store = ImageStore(folder / "uploads")
        self.commands = connect(server.api_url)
        self.queue = JobQueue(self.commands, connect_for_waiting(server.api_url), reconnect_for_s=WAIT_S)
        settings = {
            "REDIS_URL": server.worker_url,
            "UPLOAD_DIR": str(folder / "uploads"),
            "COPIES_DIR": str(folder / "copies"),
            "MODELS": f"{folder}/reds,{folder}/colours",
        }
        with (folder / "worker.log").open("wb") as log:
            environment = {**os.environ, **settings}
            self._worker = ForkedProgram("model.worker", environment=environment, stdout=log, stderr=log)
        eventually(lambda: {entry.model for entry in live_workers(self.commands)} == MODELS, "both are served")

    def submit(self, model: str, job: Task) -> str:
        return self.queue.submit(model, job, WAIT_S).job_id

    def outcome(self, job_id: str) -> Outcome:
        return self.queue.wait(job_id, Deadline(WAIT_S))

    def close(self) -> None:
        self._worker.send_signal(signal.SIGTERM)
        self._worker.wait(WAIT_S)
        self.queue.close()


@pytest.fixture(scope="module")
def site(valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with connect(valkey.operator_url) as operator:
        operator.flushall()
    site = Site(valkey, tmp_path_factory.mktemp("site"))
    yield site
    site.close()


def red_at(box: tuple[int, int, int, int], *, size: tuple[int, int] = (640, 320)) -> bytes:
    picture = Image.new("RGB", size, "white")
    picture.paste((255, 0, 0), box)
    return odd.encoded(picture, "PNG", compress_level=0)


def test_a_job_for_a_detector_is_answered_with_objects(site):
    picture = site.store.put(red_at((100, 50, 300, 150)))
    outcome = site.outcome(site.submit(DETECTOR, DetectJob(picture, cache=True)))

    assert isinstance(outcome, Detection)
    assert (outcome.model, outcome.digest, outcome.version) == (DETECTOR, site.bundle.digest, "1")
    assert outcome.objects == (DetectedObject("red", detectors.SCORE, 1, Box(100, 50, 300, 150)),)
    assert (outcome.width, outcome.height, outcome.damaged) == (640, 320, False)
    assert outcome.timings_ms.decode > 0


def test_its_answer_is_kept_for_later_requests_of_the_same_picture(site):
    picture = site.store.put(red_at((0, 0, 320, 160)))
    outcome = site.outcome(site.submit(DETECTOR, DetectJob(picture, cache=True)))
    stored = site.commands.get(keys.answer(DETECTOR, site.bundle.digest, picture))

    assert outcome_from_json(stored) == outcome


def test_the_same_worker_classifies_the_same_picture(site):
    """Each model has its own queues, so no batch asks two things of a network."""
    picture = site.store.put(red_at((20, 20, 620, 300)))
    both = [
        site.submit(DETECTOR, DetectJob(picture, cache=True)),
        site.submit(CLASSIFIER, ClassifyJob(picture, cache=True)),
    ]
    detected, classified = map(site.outcome, both)

    assert isinstance(detected, Detection)
    assert isinstance(classified, Classification)
    assert classified.labels[0].label == "red"


@pytest.mark.parametrize(
    ("model", "job", "right"), [(DETECTOR, ClassifyJob, DetectJob), (CLASSIFIER, DetectJob, ClassifyJob)]
)
def test_a_job_that_asks_a_model_for_another_task_is_given_up_and_its_neighbours_are_answered(site, model, job, right):
    """Its sender would take the answer for something else."""
    ids = [
        site.submit(model, kind(site.store.put(red_at((0, 0, 10 * number, 100))), cache=False))
        for number, kind in enumerate((right, job, right), start=1)
    ]
    first, last = site.outcome(ids[0]), site.outcome(ids[2])

    assert isinstance(first, Detection | Classification)
    assert isinstance(last, Detection | Classification)
    with pytest.raises(WorkerFault, match="given up"):
        site.outcome(ids[1])


def test_a_bad_picture_is_its_sender_s_fault(site):
    picture = site.store.put(odd.text_as_jpeg())

    assert isinstance(site.outcome(site.submit(DETECTOR, DetectJob(picture, cache=True))), Failure)


def test_what_is_there_of_a_damaged_picture_is_looked_at_if_its_sender_asks_for_it(site):
    whole = red_at((0, 0, 320, 32))
    picture = site.store.put(whole[: len(whole) // 2])
    strict, lenient = (
        site.outcome(site.submit(DETECTOR, DetectJob(picture, cache=True, strict=strict))) for strict in (True, False)
    )

    assert isinstance(strict, Failure)
    assert isinstance(lenient, Detection)
    assert lenient.damaged
    assert [found.label for found in lenient.objects] == ["red"]


def test_callers_are_told_which_model_does_what(site):
    entries = {entry.model: entry.digest for entry in live_workers(site.commands)}
    described = dict(zip(entries, read_descriptions(site.commands, list(entries.items())), strict=True))

    assert {model: found and found.task for model, found in described.items()} == {
        DETECTOR: "detection",
        CLASSIFIER: "classification",
    }

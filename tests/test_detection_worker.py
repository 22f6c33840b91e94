"""A real worker process that serves a detector beside a classifier: jobs in, objects out, through a real queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from contract import keys
from contract.errors import WorkerFault
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
from contract.redis_clients import connect
from contract.worker_registry import live_workers
from model.bundle import load_bundle
from model.tests import detectors, networks
from tests.pictures import odd
from tests.support.worker_site import WorkerSite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Server

DETECTOR, CLASSIFIER = "reds", "colours"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return {
        DETECTOR: detectors.write_bundle(folder / DETECTOR),
        CLASSIFIER: networks.write_bundle(folder / CLASSIFIER),
    }


@pytest.fixture(scope="module")
def digest(bundles: dict[str, Path]) -> str:
    return load_bundle(bundles[DETECTOR]).digest


@pytest.fixture(scope="module")
def site(valkey: Server, bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerSite]:
    """A worker that serves both."""
    with connect(valkey.operator_url) as operator:
        operator.flushall()
    with WorkerSite(valkey, tmp_path_factory.mktemp("site"), list(bundles.values()), set(bundles)) as site:
        yield site


def red_at(box: tuple[int, int, int, int], *, size: tuple[int, int] = (640, 320)) -> bytes:
    picture = Image.new("RGB", size, "white")
    picture.paste((255, 0, 0), box)
    return odd.encoded(picture, "PNG", compress_level=0)


def test_a_job_for_a_detector_is_answered_with_objects(site, digest):
    picture = site.store.put(red_at((100, 50, 300, 150)))
    outcome = site.outcome(site.submit(DETECTOR, DetectJob(picture, cache=True)))

    assert isinstance(outcome, Detection)
    assert (outcome.model, outcome.digest, outcome.version) == (DETECTOR, digest, "1")
    assert outcome.objects == (DetectedObject("red", detectors.SCORE, 1, Box(100, 50, 300, 150)),)
    assert (outcome.width, outcome.height, outcome.damaged) == (640, 320, False)
    assert outcome.timings_ms.decode > 0


def test_its_answer_is_kept_for_later_requests_of_the_same_picture(site, digest):
    picture = site.store.put(red_at((0, 0, 320, 160)))
    outcome = site.outcome(site.submit(DETECTOR, DetectJob(picture, cache=True)))
    stored = site.commands.get(keys.answer(DETECTOR, digest, picture))

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

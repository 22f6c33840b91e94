"""Which model a request means where some classify and others detect."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from api.core.errors import NoWorker, OtherTask, UnknownModel
from api.core.live_workers import Fleet, LiveWorkers, WorkerPool
from api.core.routing import fallback, possible
from contract import keys
from contract.job_queue import JobQueue
from contract.model_description import ModelDescription, publish_description
from contract.model_task import ModelTask
from contract.model_version import ModelVersion, WantedModel
from contract.worker_registry import WorkerEntry, forget, heartbeat, register

if TYPE_CHECKING:
    from contract.redis_memory import RedisMemory

CLASSIFICATION, DETECTION = ModelTask.CLASSIFICATION, ModelTask.DETECTION
TASKS = {"finder": DETECTION, "seeker@2": DETECTION, "names": CLASSIFICATION, "masks": "segmentation"}


def fleet(*served: str, away: tuple[str, ...] = (), default_model: str = "") -> Fleet:
    """Of the models of ``TASKS`` and "old", of which no worker has said what it is for; the newest first."""
    memory = cast("RedisMemory", None)
    pools = {
        model: WorkerPool(
            model=model,
            digest="d" * 64,
            workers=(WorkerEntry(worker_id="w", host="h", model=model, digest="d" * 64, batch=8, service_ms=20.0),),
            memory=memory,
            queued=0,
            seen_at=0.0,
        )
        for model in served
    }
    versions = tuple(map(ModelVersion.from_key, [*served, *away]))
    return Fleet(versions, {}, pools, memory, default_model, TASKS)


@pytest.mark.parametrize(
    ("models", "task", "meant"),
    [
        (("finder", "names"), CLASSIFICATION, "names@1"),
        (("finder", "names"), DETECTION, "finder@1"),
        (("finder", "names"), None, "names@1"),
        (("names", "finder", "seeker@2"), DETECTION, "finder@1"),
        (("seeker@2", "finder"), None, "seeker@2"),
        (("finder", "old"), CLASSIFICATION, "old@1"),
        (("masks", "finder", "names"), DETECTION, "finder@1"),
    ],
)
def test_without_a_name_the_newest_model_for_the_task_is_meant(models, task, meant):
    assert str(fleet(*models).wanted(None, task)) == meant


def test_the_operators_default_is_meant_for_its_own_task_only():
    served = fleet("finder", "seeker@2", "names", "old", default_model="seeker")

    assert str(served.wanted(None, DETECTION)) == "seeker@2"
    assert str(served.wanted(None, CLASSIFICATION)) == "names@1"


def test_while_the_operators_default_is_unknown_it_may_be_a_classifier_and_none_stands_in_for_it():
    served = fleet("finder", "names", default_model="lite")

    with pytest.raises(NoWorker, match="lite"):
        served.wanted(None, CLASSIFICATION)
    assert str(served.wanted(None, DETECTION)) == "finder@1"


def test_a_service_whose_classifier_is_gone_is_there_with_its_detector():
    """As after a restart with ``MODELS`` of a detector alone. Requests for labels still mean the classifier."""
    left = fleet("finder", away=("names",))

    assert str(left.served_default()) == "finder@1"
    assert str(left.wanted(None)) == str(left.wanted(None, CLASSIFICATION)) == "names@1"
    assert str(fleet("finder", away=("names",), default_model="names").served_default()) == "names@1"
    assert str(fleet("finder", away=("names",), default_model="finder").served_default()) == "finder@1"
    assert str(fleet("finder", "names").served_default()) == "names@1"
    assert str(fleet(away=("names", "finder")).served_default()) == "names@1"


def test_a_model_of_another_task_is_refused_with_those_that_fit():
    served = fleet("finder", "names", "seeker@2", away=("old",))

    with pytest.raises(OtherTask) as refused:
        served.wanted(WantedModel("names"), DETECTION)
    assert str(refused.value) == (
        "names@1 is for classification, and not for detection: for that there are finder@1, seeker@2"
    )
    with pytest.raises(OtherTask, match=r"for that there is no model$"):
        fleet("finder").wanted(WantedModel("finder"), CLASSIFICATION)
    assert str(served.wanted(WantedModel("finder"), DETECTION)) == "finder@1"


def test_where_no_model_is_for_the_task_the_refusal_names_what_there_is():
    with pytest.raises(UnknownModel, match=r"^there is no model for detection; there are names@1, old@1$"):
        fleet("names", "old").wanted(None, DETECTION)
    with pytest.raises(NoWorker, match=r"^no worker is ready$"):
        fleet().wanted(None, DETECTION)


def test_a_task_that_a_newer_worker_serves_is_nobodys_default():
    with pytest.raises(UnknownModel, match="for classification"):
        fleet("masks").wanted(None, CLASSIFICATION)
    with pytest.raises(NoWorker):
        fleet("masks").wanted(None)


def test_the_fallback_answers_for_its_own_task_only():
    served = fleet("finder", "names", "old")
    found = fallback(served, None, CLASSIFICATION, "old")

    assert found is not None
    assert found.model == "old"
    assert fallback(served, None, DETECTION, "old") is None
    assert [pool.model for pool in possible(served, None, DETECTION, "old")] == ["finder"]


def test_what_a_version_is_for_is_known_while_no_worker_is_alive_and_until_it_is_forgotten(redis):
    """A description lives for a minute; jobs are taken for as long as the version is known."""
    described = ModelDescription(
        task="detection", precision="fp32", width=8, height=8, labels=2, licence=None, provenance={},
        min_score=0.1, max_objects=100,
    )  # fmt: skip
    entry = WorkerEntry(worker_id="w", host="h", model="finder", digest="d" * 64, batch=8, service_ms=20.0)
    publish_description(redis, "finder", entry.digest, described)
    register(redis, ["finder"])
    heartbeat(redis, entry)
    redis.delete(keys.workers("finder"), keys.description("finder", entry.digest))
    away = LiveWorkers(redis, JobQueue(redis, redis)).destination(WantedModel("finder"))
    forget(redis, ["finder"])

    assert (away.task, away.pool) == (DETECTION, None)
    assert redis.hget(keys.TASKS, "finder") is None


def test_what_somebody_else_has_written_there_leaves_classifiers(redis):
    register(redis, ["names"])
    redis.set(keys.TASKS, "detection")

    assert LiveWorkers(redis, JobQueue(redis, redis)).destination().task == CLASSIFICATION

"""Workers by the jobs that there are: the keys that KEDA is told are the contract's and RQ's, all of them, added up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from rq.registry import StartedJobRegistry

from contract import keys
from contract.job_queue import (
    async_queue_name,
    bulk_async_queue_name,
    bulk_queue_name,
    copies_queue_name,
    queue_name,
)
from contract.model_version import ModelVersion
from contract.redis_users import SCALER
from model.settings import Settings as WorkerSettings
from tests.kubernetes.manifests import KUBERNETES, configuration, environment, of_kind
from tests.kubernetes.schemas import redis_trigger
from tests.support.scripted_worker import MODEL
from tests.support.workers import eventually

if TYPE_CHECKING:
    from tests.kubernetes.manifests import Object

KEDA, HPA = KUBERNETES / "overlays" / "keda", KUBERNETES / "overlays" / "hpa"
QUEUES = (queue_name, bulk_queue_name, copies_queue_name, async_queue_name, bulk_async_queue_name)


def keys_of(model: str) -> set[str]:
    """Where the jobs of a version wait, and where those stand that a worker has in hand."""
    names = [name(model) for name in QUEUES]
    return {*map(keys.rq_queue, names), *map(StartedJobRegistry.key_template.format, names)}


def workers_scaling() -> Object:
    return dict(of_kind(KEDA, "ScaledObject")["worker"]["spec"])


def listed(model: str) -> list[str]:
    """The keys that are measured, as those of another version."""
    served = ModelVersion(environment(KEDA, "worker")["MODELS"]).key
    return [trigger["metadata"]["listName"].replace(served, model) for trigger in workers_scaling()["triggers"]]


def test_every_queue_of_what_the_workers_serve_is_measured_waiting_and_in_work():
    served = [ModelVersion(name) for name in environment(KEDA, "worker")["MODELS"].split(",")]
    measured = [trigger["metadata"]["listName"] for trigger in workers_scaling()["triggers"]]

    assert len(measured) == len(set(measured))
    assert set(measured) == set().union(*(keys_of(model.key) for model in served))


def test_what_is_measured_is_added_up():
    """KEDA would take the largest of several triggers by themselves."""
    scaling = workers_scaling()
    formula = scaling["advanced"]["scalingModifiers"]["formula"]
    names = [trigger["name"] for trigger in scaling["triggers"]]

    assert re.split(r"\s*\+\s*", formula.strip()) == names
    assert all(re.fullmatch("[a-z_]+", name) for name in names)  # a formula takes - for minus


def test_a_worker_is_meant_to_have_a_batch():
    modifiers = workers_scaling()["advanced"]["scalingModifiers"]

    assert int(modifiers["target"]) == WorkerSettings.model_fields["batch_max"].default
    assert modifiers["metricType"] == "AverageValue"


def test_there_are_always_workers_also_while_nobody_can_count():
    scaling = workers_scaling()

    assert 1 <= scaling["minReplicaCount"] < scaling["maxReplicaCount"]
    assert scaling["minReplicaCount"] <= scaling["fallback"]["replicas"] <= scaling["maxReplicaCount"]
    assert scaling["fallback"]["behavior"] == "currentReplicasIfHigher"
    assert scaling["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"]


def test_each_parameter_is_one_that_kedas_trigger_knows_there():
    known = redis_trigger()
    for trigger in workers_scaling()["triggers"]:
        assert trigger["type"] == "redis"
        assert all(known[name].get("metadataVariableReadable") for name in trigger["metadata"])
    spec = of_kind(KEDA, "TriggerAuthentication")["redis"]["spec"]
    for one in [*spec["configMapTargetRef"], *spec["secretTargetRef"]]:
        assert known[one["parameter"]].get("triggerAuthenticationVariableReadable")


def test_keda_comes_to_redis_as_the_user_who_only_counts():
    spec = of_kind(KEDA, "TriggerAuthentication")["redis"]["spec"]
    told = {one["parameter"]: configuration(KEDA, one["name"])[one["key"]] for one in spec["configMapTargetRef"]}

    assert told == {"address": "redis.image-classifier.svc:6379", "tls": "disable", "username": SCALER}
    assert spec["secretTargetRef"] == [{"parameter": "password", "name": "redis-passwords", "key": SCALER}]


@pytest.mark.parametrize("folder", [KEDA, HPA], ids=lambda folder: folder.name)
def test_nobody_else_says_how_many_pods_there_are(folder):
    """A number in the Deployment would take them away with every `kubectl apply`."""
    autoscalers = [one["spec"] for one in of_kind(folder, "HorizontalPodAutoscaler").values()]
    scaled = {one["scaleTargetRef"]["name"] for one in autoscalers}
    scaled |= {one["spec"]["scaleTargetRef"]["name"] for one in of_kind(folder, "ScaledObject").values()}

    assert scaled == {"api", "worker"}
    assert not any("replicas" in one["spec"] for one in of_kind(folder, "Deployment").values())
    assert all(1 <= one["minReplicas"] < one["maxReplicas"] for one in autoscalers)
    assert all(one["behavior"]["scaleDown"]["stabilizationWindowSeconds"] for one in autoscalers)


def test_a_job_counts_from_when_it_is_sent_until_it_has_ended(any_server, workers):
    """While it waits and while a worker has it in hand: a worker with a full batch and an empty queue is not idle."""
    where = listed(MODEL)
    with Redis.from_url(any_server.url_of(SCALER), driver_info=None) as scaler:

        def counted() -> int:
            return sum(scaler.eval("return redis.call(ARGV[1], KEYS[1])", 1, key, command_of(key)) for key in where)

        def command_of(key: str) -> str:
            return "llen" if key.startswith("rq:queue:") else "zcard"

        job = workers.create("cat")
        waiting = workers.submit("hang")
        assert counted() == 2

        workers.start()
        eventually(lambda: "hang" in " ".join(workers.batches()), "a worker has a picture in hand")
        assert scaler.llen(keys.rq_queue(queue_name(MODEL))) == 0
        assert counted() == 2

        workers.kill_all()
        workers.redis.delete(keys.wanted(waiting.job_id))  # nobody waits any more, so it is dropped
        workers.start()
        workers.ended(job)
        eventually(lambda: counted() == 0, "nothing is left to do")

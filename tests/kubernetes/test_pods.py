"""Every pod meets the restricted Pod Security Standard and more, and is what its image and its routes say."""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import Any

import pytest
import yaml

from api import VERSION
from api.openapi.document import load
from api.settings import Settings as ApiSettings
from model.sandbox.limits import WALL_LIMIT_S
from model.serving.lease import COMPUTE_LIMIT_S
from model.settings import Settings as WorkerSettings
from tests.kubernetes.manifests import BASE, EVERY, ROOT, containers, of_kind, pods, seconds

AFTER_THE_DEADLINE_S = 5  # api/gunicorn_conf.py: what a request that waits has beyond its deadline
TO_END_S = 5
DOCKERFILES = {"api": "api/Dockerfile", "worker": "model/Dockerfile", "export": "model/Dockerfile"}
SERVICES = {"api": "api", "worker": "model", "export": "export", "redis": "redis"}  # in docker-compose.yml
ALLOWED_VOLUMES = {"configMap", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
EVERY_POD = [
    pytest.param(folder, name, id=f"{folder.name}: {name}")
    for folder in EVERY
    for name in ("api", "worker", "redis", "export")
    if (name != "redis" or folder.name != "managed-redis") and (name != "export" or folder.name == "models-claim")
]
MEGA = {"m": 1e6, "g": 1e9, "Mi": 2**20, "Gi": 2**30}


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"])


def in_bytes(size: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(\w+)", size).groups()  # type: ignore[union-attr]
    return int(number) * MEGA[unit]


@pytest.mark.parametrize(("folder", "name"), EVERY_POD)
def test_every_pod_meets_the_restricted_standard(folder, name):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/: each of its rules, as they are written."""
    spec = pods(folder)[name]["spec"]

    assert not any(spec.get(field) for field in ("hostNetwork", "hostPID", "hostIPC"))
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] != 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"sysctls", "seLinuxOptions", "windowsOptions", "appArmorProfile"} & set(spec["securityContext"])
    assert {field for volume in spec["volumes"] for field in volume if field != "name"} <= ALLOWED_VOLUMES
    for container in containers(pods(folder)[name]):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert set(context) <= {"allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"}
        assert not any("hostPort" in port for port in container.get("ports", []))


@pytest.mark.parametrize(("folder", "name"), EVERY_POD)
def test_beyond_the_standard_no_pod_can_write_its_root_or_knows_the_cluster(folder, name):
    spec = pods(folder)[name]["spec"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert all(one["securityContext"]["readOnlyRootFilesystem"] is True for one in containers(pods(folder)[name]))


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_no_pod_is_left_out_above(folder):
    assert set(pods(folder)) == {name for there, name in (one.values for one in EVERY_POD) if there == folder}


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_the_namespace_enforces_it(folder):
    (namespace,) = of_kind(folder, "Namespace").values()

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(("folder", "name"), EVERY_POD)
def test_every_container_says_what_it_needs_and_what_it_may_take(folder, name):
    for container in containers(pods(folder)[name]):
        resources = container["resources"]
        assert set(resources["requests"]) == {"cpu", "memory"}
        assert in_bytes(resources["requests"]["memory"]) <= in_bytes(resources["limits"]["memory"])


@pytest.mark.parametrize("name", ["api", "worker", "redis"])
def test_a_pod_may_take_as_much_memory_as_composes_container(name):
    """Those limits are measured (docs/deployment.md); Compose's megabytes are of 1024 times 1024 bytes."""
    (container,) = pods(BASE)[name]["spec"]["containers"]

    assert container["resources"]["limits"]["memory"].replace("i", "").lower() == compose()[SERVICES[name]]["mem_limit"]


@pytest.mark.parametrize(("folder", "name"), EVERY_POD)
def test_a_pods_user_is_its_images(folder, name):
    """Pictures are for their owner alone, so both sides have to be the same user."""
    context = pods(folder)[name]["spec"]["securityContext"]
    if name == "redis":
        user, group = compose()["redis"]["user"].split(":")
    else:
        (user, group) = re.findall(r"useradd --uid (\d+) --gid (\d+)", (ROOT / DOCKERFILES[name]).read_text())[0]

    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (int(user), int(group), int(group))


@pytest.mark.parametrize(("folder", "name"), EVERY_POD)
def test_images_are_of_this_version_and_named_as_a_releases(folder, name):
    parts = {"api", "model", "models", "export", "redis"}
    for container in containers(pods(folder)[name]):
        assert container["image"] in {f"image-classifier-{part}:{VERSION}" for part in parts}
    assert f"FROM image-classifier-export:{VERSION}" in (ROOT / "deploy/kubernetes/models.Dockerfile").read_text()


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_the_port_is_the_images_and_the_services_lead_to_it(folder):
    (exposed,) = re.findall(r"^EXPOSE (\d+)$", (ROOT / "api/Dockerfile").read_text(), re.MULTILINE)
    (container,) = pods(folder)["api"]["spec"]["containers"]
    labels = pods(folder)["api"]["metadata"]["labels"]
    service = of_kind(folder, "Service")["api"]["spec"]

    assert container["ports"] == [{"name": "http", "containerPort": int(exposed)}]
    assert service["selector"].items() <= labels.items()
    assert [port["targetPort"] for port in service["ports"]] == ["http"]
    for ingress in of_kind(folder, "Ingress").values():
        (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
        assert path["backend"]["service"] == {"name": "api", "port": {"name": "http"}}


def test_the_apis_probes_ask_the_routes_that_mean_it():
    """The process alone decides whether it is started again; Redis and the workers, whether it is sent anything."""
    (container,) = pods(BASE)["api"]["spec"]["containers"]
    paths = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}

    assert {kind: one["path"] for kind, one in paths.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    assert {one["port"] for one in paths.values()} == {"http"}
    assert {"/livez", "/readyz"} <= set(load(ApiSettings())["paths"])


def test_the_workers_probes_are_its_images_health_check_and_none_of_them_ends_a_worker_that_has_begun():
    """It says no as well when Redis is away."""
    (container,) = pods(BASE)["worker"]["spec"]["containers"]
    (checks,) = re.findall(
        r"^HEALTHCHECK --.* CMD (\[.*model\.healthcheck.*\])$", (ROOT / "model/Dockerfile").read_text(), re.MULTILINE
    )

    assert container["startupProbe"]["exec"]["command"] == json.loads(checks)
    assert container["readinessProbe"]["exec"]["command"] == json.loads(checks)
    assert "livenessProbe" not in container


def test_redis_is_started_and_asked_as_in_compose():
    (container,) = pods(BASE)["redis"]["spec"]["containers"]
    service = compose()["redis"]

    assert container["args"] == service["command"]
    for probe in ("startup", "liveness", "readiness"):
        assert container[f"{probe}Probe"]["exec"]["command"][-1] == service["healthcheck"]["test"][-1]


def test_a_request_that_waits_has_its_time_when_the_api_is_stopped():
    pod = pods(BASE)["api"]
    routed_s = pod["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    waits_s = ApiSettings.model_fields["request_timeout_s"].default + AFTER_THE_DEADLINE_S

    assert seconds(pod) >= routed_s + waits_s + TO_END_S


def test_a_batch_has_its_time_when_a_worker_is_stopped():
    longest_s = WorkerSettings.model_fields["batch_max"].default * WALL_LIMIT_S

    assert seconds(pods(BASE)["worker"]) >= longest_s + COMPUTE_LIMIT_S


@pytest.mark.parametrize("name", ["api", "worker"])
def test_a_new_version_takes_over_pod_by_pod_and_nodes_are_emptied_one_at_a_time(name):
    deployment = of_kind(BASE, "Deployment")[name]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    budget = of_kind(BASE, "PodDisruptionBudget")[name]["spec"]
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]

    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert budget["maxUnavailable"] == 1
    selectors = [deployment["spec"]["selector"], budget["selector"], *(one["labelSelector"] for one in spread)]
    assert all(selector["matchLabels"].items() <= labels.items() for selector in selectors)
    assert {one["topologyKey"] for one in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_workers_can_change_neither_pictures_nor_models(folder):
    (container,) = pods(folder)["worker"]["spec"]["containers"]
    mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}

    assert mounts["/app/models"] is True
    assert mounts.get("/app/data/uploads", True) is True


@pytest.mark.parametrize(("folder", "name"), EVERY_POD)
def test_what_is_mounted_is_there(folder, name):
    pod = pods(folder)[name]
    claimed = of_kind(folder, "StatefulSet").get(name, {}).get("spec", {}).get("volumeClaimTemplates", [])
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]} | {one["metadata"]["name"] for one in claimed}
    mounts = chain.from_iterable(container["volumeMounts"] for container in containers(pod))

    assert {mount["name"] for mount in mounts} == volumes

"""Who reaches whom: nobody, but for what the policies name."""

from __future__ import annotations

import pytest

from tests.kubernetes.manifests import EVERY, KUBERNETES, Object, of_kind, pods

KEDA = KUBERNETES / "overlays" / "keda"


def chosen(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a pod's labels are among those that a selector names."""
    plain = all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())
    return plain and all(
        one["operator"] == "In" and labels.get(one["key"]) in one["values"]
        for one in selector.get("matchExpressions", [])
    )


def rules(folder, name: str, direction: str) -> list[Object]:
    """What the policies for a pod allow, ``Ingress`` or ``Egress``; asserts that it is closed otherwise."""
    labels = pods(folder)[name]["metadata"]["labels"]
    policies = [
        one["spec"]
        for one in of_kind(folder, "NetworkPolicy").values()
        if chosen(one["spec"]["podSelector"], labels) and direction in one["spec"]["policyTypes"]
    ]
    assert policies
    return [rule for policy in policies for rule in policy.get(direction.lower(), [])]


def peers(folder, name: str, direction: str) -> set[str]:
    """The pods of ours, the namespaces and the networks that are allowed."""
    allowed: set[str] = set()
    for rule in rules(folder, name, direction):
        for peer in rule["from" if direction == "Ingress" else "to"]:
            if "ipBlock" in peer:
                allowed.add(peer["ipBlock"]["cidr"])
            elif "namespaceSelector" in peer:
                allowed.add(peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])
            else:
                ours = {one: pod["metadata"]["labels"] for one, pod in pods(folder).items()}
                allowed |= {one for one, labels in ours.items() if chosen(peer["podSelector"], labels)}
    return allowed


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_whatever_no_policy_names_is_closed_both_ways(folder):
    nothing = of_kind(folder, "NetworkPolicy")["nothing"]["spec"]

    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize(
    "folder", [folder for folder in EVERY if folder.name != "managed-redis"], ids=lambda folder: folder.name
)
def test_only_who_needs_redis_reaches_it_and_it_reaches_nobody(folder):
    assert peers(folder, "redis", "Ingress") == {"api", "worker"} | ({"keda"} if folder == KEDA else set())
    assert peers(folder, "redis", "Egress") == set()


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_nobody_reaches_a_worker_and_it_reaches_redis_names_and_the_store_alone(folder):
    store = {"0.0.0.0/0"} if "to-object-store" in of_kind(folder, "NetworkPolicy") else set()
    redis = {"redis"} if "redis" in pods(folder) else {"10.0.0.0/8"}

    assert peers(folder, "worker", "Ingress") == set()
    assert peers(folder, "worker", "Egress") == {"kube-system"} | redis | store


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_only_the_ingress_and_prometheus_reach_the_api(folder):
    """So TRUSTED_PROXIES may name the network of all pods: no other pod's word gets there."""
    assert peers(folder, "api", "Ingress") == {"ingress-nginx", "monitoring"}


def test_pictures_in_a_folder_need_no_way_out():
    for overlay in ("shared-folder", "kind"):
        assert "0.0.0.0/0" not in peers(KUBERNETES / "overlays" / overlay, "api", "Egress")

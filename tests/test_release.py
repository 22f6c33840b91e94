"""``make release`` in a clone of this repository: what it refuses, and what it leaves in ``dist/``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from api import VERSION
from tests.support.missing import skip_or_fail

ROOT = Path(__file__).parents[1]
COMMITTER = ("-c", "user.name=A Tester", "-c", "user.email=tester@example.org")

pytestmark = pytest.mark.long


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What is committed here, with nobody's settings of git."""
    if subprocess.run(["git", "rev-parse"], cwd=ROOT, capture_output=True, check=False).returncode != 0:
        skip_or_fail("this is no clone of the repository")
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth=1", ROOT.as_uri(), folder], check=True)
    return folder


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *COMMITTER, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def released(folder: Path, committer: str = "A Tester") -> subprocess.CompletedProcess[str]:
    """Without a Docker Engine, and without the machine's settings of git."""
    who = {"GIT_COMMITTER_NAME": committer, "GIT_COMMITTER_EMAIL": "tester@example.org"}
    nowhere = {"DOCKER_HOST": f"unix://{folder}/nothing.sock", "GIT_CONFIG_GLOBAL": os.devnull}
    environment = {**os.environ, **who, **nowhere}
    command = [sys.executable, "-m", "deploy.release"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_version_is_tagged_and_built_once_it_is_ready(clone):
    changelog = clone / "CHANGELOG.md"
    text = re.sub(r"^## .*$", f"## {VERSION} (unreleased)", changelog.read_text(), count=1, flags=re.MULTILINE)
    changelog.write_text(text)
    unreleased = released(clone)
    changelog.write_text(text.replace(f"{VERSION} (unreleased)", f"{VERSION} (2026-01-31)"))
    recording = clone / "tests" / "recorded" / f"redis-{VERSION}.json"
    recording.unlink(missing_ok=True)
    unrecorded = released(clone)
    recording.write_text("{}")
    uncommitted = released(clone)
    git(clone, "add", "--all")
    git(clone, "commit", "-q", "-m", "Ready")
    unsigned = released(clone, committer="")
    (clone / "dist").symlink_to(clone / "docs")
    linked = released(clone)
    (clone / "dist").unlink()
    done = released(clone)
    again = released(clone)

    assert f"Not released: CHANGELOG.md begins with '{VERSION} (unreleased)'" in unreleased.stderr
    assert "is not recorded" in unrecorded.stderr
    assert "not committed" in uncommitted.stderr
    assert "git var GIT_COMMITTER_IDENT has failed" in unsigned.stderr
    assert "dist is a link" in linked.stderr
    assert done.returncode == 0, done.stderr
    assert "without the images' archives" in done.stdout
    assert f"the tag v{VERSION} exists already" in again.stderr
    assert [refused.returncode for refused in (unreleased, unrecorded, uncommitted, unsigned, linked, again)] == [1] * 6
    assert git(clone, "cat-file", "-t", f"v{VERSION}") == "tag\n"
    assert git(clone, "status", "--porcelain") == ""

    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=clone / "dist", check=True)
    (wheel,), (sdist,) = (clone / "dist").glob("*.whl"), (clone / "dist").glob("*.tar.gz")
    assert len((clone / "dist" / "SHA256SUMS").read_text().splitlines()) == 2
    assert "classifier_client/_version.py" in zipfile.ZipFile(wheel).namelist()
    with tarfile.open(sdist) as archive:
        assert any(name.endswith("/src/classifier_client/__init__.py") for name in archive.getnames())
    assert VERSION in wheel.name
    assert VERSION in sdist.name

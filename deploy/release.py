"""``python -m deploy.release``: tags the version that stands here, and builds what others get of it into ``dist/``.

The client's wheel and sdist and, where a Docker Engine answers, an archive of each image of docker-compose.yml; beside
them ``SHA256SUMS``. Nothing is pushed or uploaded. The tag comes last, so a build that fails leaves none.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import yaml

from api import VERSION as API_VERSION

ROOT = Path(__file__).parents[1]
GZIP_LEVEL = 6  # of the API's image level 9 makes 1% less in four times the time
DIST = ROOT / "dist"
SUMS = "SHA256SUMS"
CLIENTS_VERSION = ROOT / "client" / "src" / "classifier_client" / "_version.py"


class NotReady(Exception):
    """This is nothing to release; the message says what to do first."""


def main() -> int:
    try:
        version = _version()
        _check(version)
        commit = _run("git", "rev-parse", "HEAD")
        with tempfile.TemporaryDirectory(prefix=".dist-", dir=ROOT) as scratch:
            built = Path(scratch) / "dist"
            built.mkdir()
            _build_client(built)
            _build_images(built, version)
            _write_sums(built)
            shutil.rmtree(DIST, ignore_errors=True)
            built.rename(DIST)
        _tag(version, commit)
    except NotReady as error:
        print(f"Not released: {error}", file=sys.stderr)
        return 1
    print("\n".join(f"  dist/{file.name}" for file in sorted(DIST.iterdir())))
    print(f"Tagged v{version}, here only. To publish it: git push origin v{version}")
    return 0


def _version() -> str:
    version = str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    if version != API_VERSION or f'"{version}"' not in CLIENTS_VERSION.read_text(encoding="utf-8"):
        raise NotReady("pyproject.toml, api/__init__.py and the client name different versions")
    return version


def _check(version: str) -> None:
    """Raises NotReady."""
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    if not re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", headings[0]):
        raise NotReady(f"CHANGELOG.md begins with {headings[0]!r}; it has to be '{version} (YYYY-MM-DD)'")
    if not (ROOT / "tests" / "recorded" / f"redis-{version}.json").exists():
        raise NotReady(
            "what this version writes into Redis is not recorded: .venv/bin/python -m tests.support.recording"
        )
    if _run("git", "tag", "--list", f"v{version}"):
        raise NotReady(f"the tag v{version} exists already")
    if DIST.is_symlink():
        raise NotReady(f"{DIST.name} is a link, and would be replaced: remove it")
    if changed := _run("git", "status", "--porcelain"):
        raise NotReady(f"there are changes that are not committed:\n{changed}")
    _run("git", "var", "GIT_COMMITTER_IDENT")  # the tag names who made it; git says how to tell it that


def _tag(version: str, commit: str) -> None:
    """Raises NotReady: what was built may be of another commit."""
    if _run("git", "rev-parse", "HEAD") != commit:
        raise NotReady("another commit was checked out while this one was built: nothing is tagged")
    _run("git", "tag", "--annotate", f"v{version}", "--message", f"Version {version}", commit)


def _build_client(folder: Path) -> None:
    """Equal sources give equal files: their times are that of the commit."""
    commit_time = _run("git", "show", "--no-patch", "--format=%ct", "HEAD")
    options = ("--sdist", "--wheel", "--no-isolation", "--outdir", str(folder))
    _run(sys.executable, "-m", "build", *options, "client", SOURCE_DATE_EPOCH=commit_time)


def _build_images(folder: Path, version: str) -> None:
    try:
        _run("docker", "info")
    except (NotReady, FileNotFoundError):
        print("No Docker Engine answers here: without the images' archives", flush=True)
        return
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    for name, build in [(name, service["build"]) for name, service in services.items() if "build" in service]:
        image = f"image-classifier-{name}:{version}"
        print(f"Building {image}", flush=True)
        target = ("--target", build["target"]) if "target" in build else ()
        _run("docker", "build", "--quiet", "--tag", image, "--file", build["dockerfile"], *target, build["context"])
        archive = folder / f"image-classifier-{name}-{version}.tar"
        _run("docker", "save", "--output", str(archive), image)
        with archive.open("rb") as plain, gzip.open(f"{archive}.gz", "wb", GZIP_LEVEL) as packed:
            shutil.copyfileobj(plain, packed)
        archive.unlink()


def _write_sums(folder: Path) -> None:
    """As ``sha256sum --check`` reads them."""
    lines = []
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _run(*command: str, **environment: str) -> str:
    """What the command prints; raises NotReady with what it says if it fails."""
    done = subprocess.run(  # noqa: S603  # git, build and docker, with arguments of our own
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NotReady(f"{' '.join(command[:3])} has failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())

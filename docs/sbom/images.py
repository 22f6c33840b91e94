"""What containers stand on: the images that Dockerfiles and Compose files name, and Debian's packages in ours."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from cyclonedx.model import Property
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from packageurl import PackageURL

if TYPE_CHECKING:
    from pathlib import Path

NAMED = re.compile(r"^(?:FROM| +image:) (?P<name>[\w./-]+):(?P<tag>[\w.-]+)", re.MULTILINE)
LISTING = "${Package}\t${Version}\t${Architecture}\n"
TIMEOUT_S = 120


def bases(root: Path) -> list[Component]:
    """By tag: an operator who wants the same bytes for ever pins them by digest."""
    patterns = ("*/Dockerfile", "deploy/*/Dockerfile", "docker-compose.yml", "deploy/*.yml")
    files = [file for pattern in patterns for file in root.glob(pattern)]
    named = {(found["name"], found["tag"]) for file in files for found in NAMED.finditer(file.read_text())}
    return [
        Component(
            type=ComponentType.CONTAINER,
            name=name,
            version=tag,
            bom_ref=f"image:{name}:{tag}",
            purl=PackageURL("docker", *_namespaced(name), version=tag),
            scope=ComponentScope.REQUIRED,
        )
        for name, tag in sorted(named)
    ]


def system_packages(image: str) -> list[Component]:
    """The Debian packages of a built image.

    Raises:
        subprocess.CalledProcessError: the engine has no such image, or it is none of Debian's.
    """
    command = ["docker", "run", "--rm", "--network=none", "--entrypoint=dpkg-query", image, "-W", "-f", LISTING]
    listing = subprocess.run(  # noqa: S603  # the maker's own images
        command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S
    ).stdout
    return debian_packages(listing, image)


def debian_packages(listing: str, image: str) -> list[Component]:
    """``listing`` is what dpkg-query prints for ``LISTING``."""
    found = []
    for line in sorted(listing.splitlines()):
        name, version, architecture = line.split("\t")
        purl = PackageURL("deb", "debian", name, version, {"arch": architecture})
        found.append(
            Component(
                type=ComponentType.LIBRARY,
                name=name,
                version=version,
                bom_ref=f"{image}:{purl}",
                purl=purl,
                scope=ComponentScope.REQUIRED,
                properties=[Property(name="classifier:image", value=image)],
            )
        )
    return found


def _namespaced(name: str) -> tuple[str | None, str]:
    namespace, _, last = name.rpartition("/")
    return namespace or None, last

"""The Python packages as components: pinned by the lock files, with what the installed ones say of themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from packageurl import PackageURL
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docs.sbom.locks import Locked

AT_RUN_TIME = ("contract", "api", "model", "local")
TIMEOUT_S = 120


class Installed:
    """This environment, as cyclonedx-py sees it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "cyclonedx_py", "environment", "--no-validate", "--output-reproducible"]
        printed = subprocess.run(  # noqa: S603  # our own arguments
            [*command, sys.executable], check=True, capture_output=True, timeout=TIMEOUT_S
        ).stdout
        self._bom: Bom = Bom.from_json(json.loads(printed))  # type: ignore[attr-defined]  # its serializer makes it
        self._names = {one.bom_ref.value: str(canonicalize_name(one.name)) for one in self._bom.components}
        self._components = {(str(canonicalize_name(one.name)), one.version): one for one in self._bom.components}

    def licences(self, package: Locked) -> Iterable[Any]:
        """What the package's own metadata declare; nothing of a version that is not installed here."""
        found = self._components.get((package.name, package.version))
        return found.licenses if found else ()

    def needs(self) -> dict[str, set[str]]:
        """The names of the packages that each one depends on."""
        return {
            self._names[one.ref.value]: {self._names[need.ref.value] for need in one.dependencies}
            for one in self._bom.dependencies
            if one.ref.value in self._names
        }


def component(package: Locked, installed: Installed) -> Component:
    """One locked package.

    Its hashes are those of the files that pip may take for it, one for each platform, and so stand at its distribution.
    """
    purl = PackageURL("pypi", name=package.name, version=package.version)
    properties = [Property(name="classifier:lock", value=room) for room in package.rooms]
    if package.marker:
        properties.append(Property(name="classifier:only-if", value=package.marker))
    files = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(str(purl)),
        comment="the files that the lock accepts",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in package.hashes],
    )
    at_run_time = not set(package.rooms).isdisjoint(AT_RUN_TIME)
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        bom_ref=str(purl),
        purl=purl,
        scope=ComponentScope.REQUIRED if at_run_time else ComponentScope.EXCLUDED,
        licenses=installed.licences(package),
        external_references=[files],
        properties=properties,
    )

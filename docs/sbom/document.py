"""The whole document. Equal inputs give equal bytes: it has no time, and its serial number is made of its content."""

from __future__ import annotations

import json
import tomllib
import uuid
from typing import TYPE_CHECKING, Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.contrib.this.builders import this_component
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6

from docs.sbom import images, locks, weights
from docs.sbom.packages import AT_RUN_TIME, Installed, component

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


def sbom(root: Path, built_images: Sequence[str] = ()) -> str:
    """CycloneDX 1.6 as JSON. ``built_images`` are those whose system packages are listed too; that needs an engine."""
    installed = Installed()
    packages = {(package.name, package.version): component(package, installed) for package in locks.locked(root)}
    named: dict[str, list[Component]] = {}
    for (name, _), one in packages.items():
        named.setdefault(name, []).append(one)
    models = weights.packages_and_bundles(root / "models")
    bundles = [bundle for _, made in models for bundle in made]

    service = _service(root)
    bom = Bom()
    bom.metadata.component = service
    bom.metadata.tools.components.add(this_component())
    system = [one for image in built_images for one in images.system_packages(image)]
    for one in (*packages.values(), *(origin for origin, _ in models), *bundles, *images.bases(root), *system):
        bom.components.add(one)
    direct = [one for name in locks.direct(root, AT_RUN_TIME) for one in named[name]]
    bom.register_dependency(service, [*direct, *bundles])
    for origin, made in models:
        for bundle in made:
            bom.register_dependency(bundle, [origin])
    for name, needs in installed.needs().items():
        for one in named.get(name, ()):
            bom.register_dependency(one, _all(named, needs))
    return _reproducible(JsonV1Dot6(bom).output_as_string())


def _service(root: Path) -> Component:
    project: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return Component(
        type=ComponentType.APPLICATION,
        name=project["name"],
        version=project["version"],
        bom_ref=project["name"],
        description=project["description"],
        licenses=[LicenseFactory().make_from_string("MIT")],
    )


def _all(named: dict[str, list[Component]], names: Iterable[str]) -> list[Component]:
    """Where the locks have two versions of a package, by the version of Python, both."""
    return [one for name in names for one in named.get(name, ())]


def _reproducible(document: str) -> str:
    told = json.loads(document)
    del told["metadata"]["timestamp"], told["serialNumber"]
    content = json.dumps(told, sort_keys=True)
    told["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_OID, content).urn
    return json.dumps(told, indent=2, sort_keys=True) + "\n"

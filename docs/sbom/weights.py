"""The models: the packages that their weights come from, and the bundles that ``make model`` has made of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from packageurl import PackageURL

from model.export.networks import NETWORKS

if TYPE_CHECKING:
    from pathlib import Path

    from model.export.bundles import Network

HASHES = {"sha512": HashAlgorithm.SHA_512, "sha256": HashAlgorithm.SHA_256}


def packages_and_bundles(models: Path) -> list[tuple[Component, list[Component]]]:
    """The package of each network that stands in the folder ``models``, with its bundles there."""
    made = [(network, _bundles(network, models)) for network in NETWORKS.values()]
    return [(_package(network), bundles) for network, bundles in made if bundles]


def _package(network: Network) -> Component:
    package = network.package
    purl = PackageURL(package.registry, name=package.name, version=package.version)
    archive = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(str(purl)),
        hashes=[HashType(alg=HASHES[package.checksum], content=package.digest)],
    )
    return Component(
        type=ComponentType.DATA,
        name=package.name,
        version=package.version,
        bom_ref=str(purl),
        purl=purl,
        description=f"The weights of {network.described}",
        licenses=[LicenseFactory().make_from_string(network.licence)],
        external_references=[archive],
    )


def _bundles(network: Network, models: Path) -> list[Component]:
    manifests = [models / folder / "model.json" for folder in network.folders]
    return [_bundle(manifest, network) for manifest in manifests if manifest.exists()]


def _bundle(manifest: Path, network: Network) -> Component:
    told = json.loads(manifest.read_text())
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=manifest.parent.name,
        version=network.package.version,
        bom_ref=f"model:{manifest.parent.name}",
        description=f"{told['provenance']['network']}, {told['precision']}",
        scope=ComponentScope.REQUIRED,
        licenses=[LicenseFactory().make_from_string(told["licence"])],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=told["files"]["model.onnx"])],
    )

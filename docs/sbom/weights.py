"""The model: the package that its weights come from, and the bundles that ``make model`` has made of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from packageurl import PackageURL

from model.export.bundles import VARIANTS
from model.export.fetch import RESNET50_PACKAGE

if TYPE_CHECKING:
    from pathlib import Path


def package() -> Component:
    purl = PackageURL("npm", name=RESNET50_PACKAGE.name, version=RESNET50_PACKAGE.version)
    archive = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(str(purl)),
        hashes=[HashType(alg=HashAlgorithm.SHA_512, content=RESNET50_PACKAGE.sha512)],
    )
    return Component(
        type=ComponentType.DATA,
        name=RESNET50_PACKAGE.name,
        version=RESNET50_PACKAGE.version,
        bom_ref=str(purl),
        purl=purl,
        description="Keras' ResNet-50 and its ImageNet weights",
        licenses=[LicenseFactory().make_from_string("MIT")],
        external_references=[archive],
    )


def bundles(models: Path) -> list[Component]:
    """Those of ours that stand in the folder ``models``."""
    manifests = [models / variant.folder / "model.json" for variant in VARIANTS]
    return [_bundle(manifest) for manifest in manifests if manifest.exists()]


def _bundle(manifest: Path) -> Component:
    told = json.loads(manifest.read_text())
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=manifest.parent.name,
        version=RESNET50_PACKAGE.version,
        bom_ref=f"model:{manifest.parent.name}",
        description=f"{told['provenance']['network']}, {told['precision']}",
        scope=ComponentScope.REQUIRED,
        licenses=[LicenseFactory().make_from_string(told["licence"])],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=told["files"]["model.onnx"])],
    )

"""axe-core, the accessibility checker: fetched from npm once, checked as the model's package is, and run on a page."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any

from model.export.fetch import cache_folder, obtain
from model.export.npm import NpmPackage

if TYPE_CHECKING:
    from playwright.sync_api import Page

# As `npm view axe-core@4.14.1 dist.integrity` prints it.
AXE = NpmPackage(
    name="axe-core",
    version="4.14.1",
    integrity="sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    size_bytes=708_405,
)


def source() -> str:
    """The checker's script.

    Raises:
        ExportError: it is not in the cache and can't be fetched.
    """
    with tarfile.open(obtain(AXE, cache_folder())) as package:
        script = package.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


def violations(page: Page, script: str) -> list[str]:
    """The violations on ``page`` as it is now, of every rule that is not experimental: a line for each place."""
    page.evaluate(script)
    found: list[dict[str, Any]] = page.evaluate("axe.run().then(results => results.violations)")
    return [f"{rule['id']}: {node['html']}: {node['failureSummary']}" for rule in found for node in rule["nodes"]]

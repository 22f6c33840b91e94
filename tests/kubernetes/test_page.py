"""What docs/kubernetes.md says of manifests and metrics."""

from __future__ import annotations

import os
import re

from tests.kubernetes.manifests import COMPONENTS, ROOT, built, containers, pods
from tests.kubernetes.schemas import check

PAGE = (ROOT / "docs" / "kubernetes.md").read_text()


def test_the_overlay_that_it_shows_can_be_built_and_has_every_image_from_elsewhere(tmp_path):
    """It stands beside the project's folder there."""
    (shown,) = re.findall(r"```yaml\n(# cluster/kustomization\.yaml\n.*?)```", PAGE, re.DOTALL)
    folder = tmp_path.resolve()
    (folder / "kustomization.yaml").write_text(shown.replace("../image-classifier", os.path.relpath(ROOT, folder)))

    for one in built(folder):
        check(one)
    images = [container["image"] for pod in pods(folder).values() for container in containers(pod)]
    assert len(images) == 4
    assert all(image.startswith("registry.example.org/") for image in images)


def test_it_names_every_component_that_is_not_a_part_of_another():
    assert [path.name for path in COMPONENTS if f"| `{path.name}` |" not in PAGE] == ["api-by-cpu"]


def test_the_metrics_that_it_watches_are_there():
    watched = set(re.findall(r"classifier_[a-z_]+", PAGE))
    table = (ROOT / "docs" / "metrics.md").read_text().replace("`..._max_bytes`", "`classifier_redis_memory_max_bytes`")

    assert len(watched) > 5
    assert watched <= set(re.findall(r"classifier_[a-z_]+", table))

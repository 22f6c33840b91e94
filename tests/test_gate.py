"""The gate before promotion with the real model and real photos: what is worse is refused, what is as good passes."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.operator import ADMIN_KEY, Operator
from tests.support.stack import ROOT, Stack
from tests.support.terminal import Terminal, blocks
from tests.test_docs_commands import as_pattern, without_what_varies

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long


def bundle(folder: Path, original: Path, version: str, labels: list[str], golden: str) -> None:
    """A copy of a bundle as another version, with these labels, of which its golden picture gets ``golden``."""
    folder.mkdir()
    for name in ("model.onnx", "golden.jpg"):
        (folder / name).symlink_to(original / name)
    text = "".join(f"{label}\n" for label in labels).encode()
    (folder / "labels.txt").write_bytes(text)
    manifest = json.loads((original / "model.json").read_text())
    manifest["version"] = version
    manifest["files"]["labels.txt"] = hashlib.sha256(text).hexdigest()
    manifest["golden"]["label"] = golden
    (folder / "model.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """ResNet-50's own two versions, one that is equal to the first, and one whose labels are shifted by one class."""
    folder = tmp_path_factory.mktemp("bundles")
    for name in ("resnet50-int8", "resnet50-fp32", "resnet50-reference"):
        (folder / name).symlink_to(models / name)
    labels = (models / "resnet50-int8" / "labels.txt").read_text().splitlines()
    shifted = [*labels[1:], labels[0]]
    golden = json.loads((models / "resnet50-int8" / "model.json").read_text())["golden"]["label"]
    for precision in ("int8", "fp32"):
        original = models / f"resnet50-{precision}"
        bundle(folder / f"equal-{precision}", original, "equal", labels, golden)
        bundle(folder / f"shifted-{precision}", original, "shifted", shifted, shifted[labels.index(golden)])
    return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, bundles: Path, imagenet_sample: Path) -> Iterator[Stack]:
    settings = {
        "MODELS": "resnet50@1",
        "MODELS_DIR": str(bundles),
        "CHECK_DIR": str(imagenet_sample),
        "ADMIN_API_KEY": ADMIN_KEY,
    }
    with Stack(tmp_path_factory.mktemp("gate"), **settings) as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


@pytest.fixture
def operator(stack: Stack) -> Operator:
    return Operator(stack.url, "resnet50")


def test_the_page_tells_it_as_it_is(operator, stack, tmp_path):
    """What docs/models.md shows of a candidate that fails."""
    ran = 0
    with Terminal(tmp_path, stack.port, ADMIN_API_KEY=ADMIN_KEY) as terminal:
        for block in blocks((ROOT / "docs" / "models.md").read_text()):
            for command, shown in block.commands if block.mark == "run by tests/test_gate.py" else []:
                found = terminal.run(command)
                ran += 1

                assert re.fullmatch(as_pattern(shown), without_what_varies(found.text), re.DOTALL), (
                    f"{command}\n{found.text}"
                )
    assert ran == 7
    assert operator.send("GET", "candidate/check").status_code == 404  # it has no candidate any more


def test_labels_that_are_shifted_by_one_class_are_refused(operator):
    """The commonest mistake of all: every answer is wrong, and looks right to who does not know the picture."""
    operator.name("shifted")
    begun = operator.begin()
    found = operator.checked()
    refused = operator.send("POST", "promote")

    assert (begun["state"], begun["done"], begun["of"]) == ("running", 0, 250)
    assert found["state"] == "failed"
    labelled = found["report"]["labelled"]
    assert labelled["pictures"] == 250
    assert labelled["right_current"] > 200
    assert labelled["right_candidate"] < 25
    assert labelled["interval"][1] < -0.7
    assert refused.status_code == 409
    assert f"it is worse: {labelled['right_candidate']} of 250 labelled pictures right" in refused.json()["detail"]


def test_the_reference_preprocessing_is_refused(operator):
    """Squashed by nearest neighbour, as the network's first owner did it."""
    operator.name("reference")
    operator.begin()
    found = operator.checked()

    assert found["state"] == "failed"
    assert found["report"]["labelled"]["interval"][1] < 0
    assert operator.send("POST", "promote").status_code == 409


def test_an_equal_bundle_passes_and_is_promoted(operator):
    operator.name("equal")
    unchecked = operator.send("POST", "promote")
    operator.begin()
    found = operator.checked()
    promoted = operator.send("POST", "promote")

    assert unchecked.status_code == 409
    assert unchecked.json()["detail"] == "resnet50@equal has not been checked; nothing was changed"
    assert found["state"] == "passed"
    labelled = found["report"]["labelled"]
    assert (labelled["agreed"], labelled["difference"], labelled["interval"]) == (250, 0, [0, 0])
    assert found["report"]["disagreements"] == []
    assert promoted.status_code == 200
    assert (promoted.json()["version"], promoted.json()["previous"]) == ("equal", "1")

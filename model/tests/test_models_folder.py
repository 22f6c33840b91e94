"""Which bundle a name in MODELS means, by what lies in the models' folder and what this processor is quick with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from contract.model_version import ModelVersion, WantedModel
from model import models_folder
from model.bundle import MANIFEST
from model.errors import BundleError
from model.models_folder import choose, find, find_all
from model.settings import ModelSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@pytest.fixture(params=[True, False], ids=["int8 is fast here", "int8 is slow here"])
def fast_int8(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    fast = bool(request.param)
    monkeypatch.setattr(models_folder, "has_fast_int8", lambda: fast)
    return fast


def named(text: str) -> WantedModel:
    return WantedModel.parse(text)


def chosen(folder: Path, *models: str, currents: dict[str, str] | None = None) -> Sequence[str]:
    """The names of the folders that MODELS chooses."""
    settings = ModelSettings(models=models, models_dir=folder)
    return [path.name for path in choose(settings, currents)]


@pytest.fixture
def variants(write_bundle: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder with one version in both precisions, whatever the folders are called."""
    write_bundle("one", precision="int8")
    write_bundle("other", precision="fp32")
    return tmp_path


def test_of_variants_this_processor_has_the_one_it_is_quick_with(variants, fast_int8):
    """By what their manifests say, not by the names of their folders."""
    assert find(variants, named("colours")).name == ("one" if fast_int8 else "other")
    assert find(variants, named("colours@1")).name == ("one" if fast_int8 else "other")


@pytest.mark.usefixtures("fast_int8")
@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_an_only_variant_is_served_on_every_processor(write_bundle, tmp_path, precision):
    write_bundle("only", precision=precision)

    assert find(tmp_path, named("colours")).name == "only"


@pytest.mark.usefixtures("fast_int8")
def test_of_two_bundles_that_call_themselves_the_same_none_is_chosen_by_chance(write_bundle, tmp_path):
    for folder in ("a", "b"):
        for precision in ("int8", "fp32"):
            write_bundle(f"{folder}-{precision}", precision=precision)

    with pytest.raises(BundleError, match=r"a-fp32, a-int8, b-fp32, b-int8 are all colours@1.*name one by its path"):
        find(tmp_path, named("colours"))


@pytest.mark.parametrize(
    ("versions", "current", "meant"),
    [
        (["1"], None, "1"),
        (["1", "2", "10"], None, "10"),
        (["1.9", "1.10"], None, "1.10"),
        (["1", "2", "words"], None, "2"),
        (["words"], None, "words"),
        (["1", "2"], "1", "1"),
        (["1", "words"], "words", "words"),
        (["1", "2"], "3", "2"),
    ],
    ids=[
        "the only one",
        "the highest number",
        "numbers with points count as such",
        "words are no number",
        "the only one, in words",
        "what the service serves now",
        "what the service serves now, in words",
        "what the service serves now is not there",
    ],
)
def test_a_bare_name_means_the_current_version_or_the_newest(write_bundle, tmp_path, versions, current, meant):
    """A worker that starts later serves what the others do, not what has been put beside it meanwhile."""
    for version in versions:
        write_bundle(f"v{version}", version=version)

    assert find(tmp_path, named("colours"), current).name == f"v{meant}"


def test_a_version_that_is_named_is_meant_whatever_is_current(write_bundle, tmp_path):
    for version in ("1", "2"):
        write_bundle(f"v{version}", version=version)

    assert find(tmp_path, named("colours@1"), "2").name == "v1"


def test_of_versions_in_words_one_has_to_be_named(write_bundle, tmp_path):
    for version in ("spring", "summer"):
        write_bundle(version, version=version)

    with pytest.raises(BundleError, match=r"no model colours in .*: it holds colours@spring, colours@summer"):
        find(tmp_path, named("colours"))


@pytest.mark.parametrize("text", ["shapes", "colours@2"])
def test_what_is_not_there_is_refused_with_what_is(variants, text):
    with pytest.raises(BundleError, match=f"there is no model {text} in .*: it holds colours@1"):
        find(variants, named(text))


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_without_bundles_says_so(tmp_path, folder):
    (tmp_path / "empty").mkdir()

    with pytest.raises(BundleError, match=r"there is no model colours in .*: it holds no bundle"):
        find(tmp_path / folder, named("colours"))


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": "1"}',
        '"name"',
        "\x00",
        "[" * 100_000,
        " " * 17_000_000 + "{}",
        '{"name": "colours", "version": "' + "9" * 5_000 + '"}',
        '{"name": "colours", "version": "../1"}',
    ],
    ids=lambda text: repr(text[:40]),
)
def test_a_bundle_that_can_not_be_read_does_not_hide_the_others(write_bundle, tmp_path, manifest):
    """It may be in the making. Whoever names it by its path is told what is wrong with it."""
    write_bundle("sound")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / MANIFEST).write_text(manifest)
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / MANIFEST)

    assert [found.model for found in find_all(tmp_path)] == [ModelVersion("colours")]
    assert find(tmp_path, named("colours")).name == "sound"


def test_models_are_chosen_in_the_order_in_which_settings_name_them(write_bundle, tmp_path):
    """The first is what requests mean that name none; of one model the first version is the one that it claims."""
    write_bundle("a", name="first")
    write_bundle("b", name="second", version="1")
    write_bundle("c", name="second", version="2")

    assert chosen(tmp_path, "second@1", "first", "second@2") == ["b", "a", "c"]
    assert chosen(tmp_path, "first", "second", currents={"second": "1"}) == ["a", "b"]


def test_a_path_is_told_from_a_name_by_its_slash(write_bundle, tmp_path, monkeypatch):
    write_bundle("here/sound")
    monkeypatch.chdir(tmp_path)

    assert chosen(tmp_path / "here", "./here/sound", "colours") == ["sound", "sound"]
    assert chosen(tmp_path, f"{tmp_path}/here/sound") == ["sound"]
    with pytest.raises(BundleError, match="there is no model sound in"):
        chosen(tmp_path / "here", "sound")


@pytest.mark.parametrize("text", ["colours@", "my model", "résumé", "model.onnx@@"])
def test_what_is_neither_a_name_nor_a_path_says_how_to_write_one(tmp_path, text):
    with pytest.raises(
        BundleError, match=r"MODELS has .*: a model is named as name or name@version; a path has a slash"
    ):
        chosen(tmp_path, text)


# Without MODELS


def test_without_models_the_only_one_there_is_served(variants, fast_int8):
    assert chosen(variants) == ["one" if fast_int8 else "other"]


def test_of_the_only_one_the_current_version_is_served_or_the_newest(write_bundle, tmp_path):
    for version in ("1", "2"):
        write_bundle(f"v{version}", version=version)

    assert chosen(tmp_path) == ["v2"]
    assert chosen(tmp_path, currents={"colours": "1"}) == ["v1"]


def test_a_folder_without_a_bundle_says_what_lies_there_instead(tmp_path):
    (tmp_path / "network.onnx").touch()

    with pytest.raises(
        BundleError, match=r"has no model.json: write one, or name network.onnx itself, and LABELS_PATH"
    ):
        chosen(tmp_path)


def test_of_several_classifiers_resnet50_is_served(write_bundle, tmp_path):
    """What ``make model`` builds; a second network beside it changes nothing until it is named."""
    write_bundle("a", name="another")
    write_bundle("b", name="resnet50", version="1")
    write_bundle("c", name="resnet50", version="2")

    assert chosen(tmp_path) == ["c"]
    assert chosen(tmp_path, currents={"resnet50": "1"}) == ["b"]


def test_a_classifier_and_a_detector_are_served_both_and_the_classifier_is_the_first(write_bundle, tmp_path):
    """Whatever their names: who has one for each task means both, and no name is needed to tell them apart."""
    write_bundle("z", name="mine")
    write_bundle("a", name="bolts", task="detection")

    assert chosen(tmp_path) == ["z", "a"]


def test_of_several_for_each_task_those_that_make_model_builds_are_served(write_bundle, tmp_path):
    write_bundle("a", name="another")
    write_bundle("b", name="resnet50")
    write_bundle("c", name="bolts", task="detection")
    write_bundle("d", name="ssdlite-mobilenetv2", task="detection")

    assert chosen(tmp_path) == ["b", "d"]


def test_of_several_others_one_has_to_be_named(write_bundle, tmp_path):
    write_bundle("a", name="first")
    write_bundle("b", name="second")
    write_bundle("c", name="bolts", task="detection")

    with pytest.raises(
        BundleError, match=r"holds several models for classification \(first, second\): MODELS must name some"
    ):
        chosen(tmp_path)


def test_models_dir_may_be_a_bundle_itself(write_bundle):
    assert chosen(write_bundle("mine")) == ["mine"]


def test_model_path_names_a_single_one_wherever_it_is(write_bundle, tmp_path):
    path = write_bundle("elsewhere/mine")
    settings = ModelSettings(model_path=path, models_dir=tmp_path)

    assert choose(settings) == [path]

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from model import bundle as bundles
from model.bundle import LABELS, MANIFEST, MODEL, choose_bundle, load_bundle
from model.errors import BundleError
from model.manifest import Manifest, OutputSpec
from model.tests import networks
from tests.pictures import odd


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def with_checksums(path):
    """Pin the files in the manifest, as an exported bundle does."""
    manifest = json.loads((path / MANIFEST).read_text())
    manifest["files"] = {name: sha256(path / name) for name in (MODEL, LABELS)}
    (path / MANIFEST).write_text(json.dumps(manifest))


def test_a_bundle_is_what_its_manifest_says(write_bundle):
    bundle = load_bundle(write_bundle())

    assert (bundle.name, bundle.version, bundle.precision) == ("colours", "1", "fp32")
    assert bundle.task == "classification"
    assert bundle.labels == ("red", "green", "blue")
    assert (bundle.input.width, bundle.input.dtype) == (32, "uint8")
    assert bundle.preprocess.shorter_side == 40
    assert bundle.output == OutputSpec(name="probabilities", kind="probabilities")
    assert bundle.golden is None


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"preprocess": {"resize": "fit"}},
            "preprocess.resize: must be 'crop', 'squash' or 'letterbox', not 'fit'",
        ),
        ({"preprocess": {"interpolation": "cubic"}}, "model.json: preprocess.interpolation: must be 'area'"),
        ({"preprocess": {"gamma": 2.2}}, "model.json: preprocess.gamma: nobody knows this field, not 2.2"),
        ({"preprocess": {"resize": "squash"}}, "shorter_side is given with resize crop, and only with it"),
        ({"preprocess": {"shorter_side": 20}}, "preprocess.shorter_side is smaller than the input"),
        ({"preprocess": {"scale": 1.0}}, "preprocess takes no scale, mean or std, because the input is uint8"),
        ({"input": {"dtype": "float32"}}, "preprocess needs scale, mean and std, because the input is float32"),
        ({"input": {"width": "wide"}}, "model.json: input.width: must be a whole number, not 'wide'"),
        ({"input": {"width": 1_000_000}}, "model.json: input.width: must be at most 4096"),
        ({"classes": 4}, "labels.txt: 3 labels, but model.json states 4 classes"),
        ({"schema": 2}, "model.json: schema: must be 1, not 2"),
        ({"name": "a:b"}, "model.json: name: a name has letters, digits"),
        ({"version": "2/3"}, "model.json: version: a version has letters, digits, '.', '_' and '-', 32 at most"),
        ({"version": "3" * 33}, "model.json: version: a version has"),
        ({"version": 2}, "model.json: version: must be text in quotes, not 2"),
        ({"task": "segmentation"}, "model.json: task: must be 'classification' or 'detection', not 'segmentation'"),
        ({"task": "detection"}, "model.json: detection is missing, because the task is detection"),
        ({"files": {MODEL: "0" * 64}}, "model.onnx: its SHA-256 is"),
        ({"files": {"../secret": "0" * 64}}, "a bundle's file name names a file in its folder"),
        ({"golden": {"file": "/etc/passwd", "label": "red"}}, "a bundle's file name names a file in its folder"),
        ({"golden": {"file": "gone.jpg", "label": "red"}}, "gone.jpg: No such file or directory"),
        ({"golden": {"file": LABELS, "label": "mauve"}}, "golden.label 'mauve' is not among the labels"),
    ],
)  # fmt: skip
def test_a_wrong_manifest_is_refused_and_the_message_says_where(write_bundle, changes, complaint):
    """Someone who brings a model finds the mistake in the worker's log, not in wrong answers."""
    path = write_bundle(**changes)

    with pytest.raises(BundleError) as refusal:
        load_bundle(path)
    assert complaint in str(refusal.value)


@pytest.mark.parametrize("name", [MANIFEST, MODEL, LABELS])
def test_a_missing_file_is_named(write_bundle, name):
    path = write_bundle()
    (path / name).unlink()

    with pytest.raises(BundleError, match=rf"{name}: No such file"):
        load_bundle(path)


def test_a_manifest_that_is_no_json_is_refused(write_bundle):
    path = write_bundle()
    (path / MANIFEST).write_text("name: colours")

    with pytest.raises(BundleError, match=r"model\.json: it is no JSON: "):
        load_bundle(path)


def test_a_changed_model_file_is_refused(write_bundle):
    path = write_bundle()
    with_checksums(path)
    load_bundle(path)
    networks.write_uint8_network(path / MODEL, factor=0.5)

    with pytest.raises(BundleError, match=r"model\.onnx: its SHA-256 is \w{64}, but the manifest states \w{64}"):
        load_bundle(path)


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (b"red\n\nblue\n", "line 2 is empty"),
        (b"", "line 1 is empty"),
        (b"red\ngr\xfcn\nblue\n", "not UTF-8"),
    ],
)
def test_damaged_labels_are_refused(write_bundle, labels, complaint):
    path = write_bundle()
    (path / LABELS).write_bytes(labels)

    with pytest.raises(BundleError, match=complaint):
        load_bundle(path)


def test_the_digest_is_the_manifests_hash_where_the_manifest_pins_the_files(write_bundle):
    path = write_bundle()
    with_checksums(path)

    assert load_bundle(path).digest == sha256(path / MANIFEST)


def test_a_manifest_without_the_fields_of_a_later_version_keeps_its_digest():
    """Answers stored before the upgrade are found after it; the figure is what the version before gave."""
    manifest = Manifest.model_validate(networks.UINT8_MANIFEST)
    checksums = {MODEL: "0" * 64, LABELS: "1" * 64}

    digest = bundles._digest(manifest, checksums, None)

    assert digest == "2dc58542ac72742904e1545b1e7cbdef9c78dccc1d0b889e6c54a4fd1b6f143f"
    assert bundles._digest(manifest.model_copy(update={"version": "2"}), checksums, None) != digest


@pytest.mark.parametrize("name", [MODEL, LABELS, MANIFEST])
def test_the_digest_changes_with_every_file_even_where_the_manifest_pins_none(write_bundle, name):
    """Answers are stored under the digest: a model that was exchanged must not serve the old ones."""
    path = write_bundle()
    before = load_bundle(path).digest
    match name:
        case "model.onnx":
            networks.write_uint8_network(path / MODEL, factor=0.5)
        case "labels.txt":
            (path / LABELS).write_text("rouge\nvert\nbleu\n")
        case _:
            (path / MANIFEST).write_text((path / MANIFEST).read_text().replace("linear", "area"))

    assert load_bundle(path).digest != before


def test_a_bare_onnx_file_gets_the_standard_imagenet_manifest(tmp_path):
    """Downloaded classifiers come without a manifest; nearly all want this preprocessing."""
    model, labels = tmp_path / "my net.onnx", tmp_path / "colours.txt"
    networks.write_float_network(model)
    labels.write_text("red\ngreen\nblue\n")

    bundle = load_bundle(model, labels)

    assert bundle.name == "my-net"
    assert (bundle.input.name, bundle.output) == ("data", OutputSpec(name="scores", kind="logits"))
    assert (bundle.input.layout, bundle.input.dtype, bundle.input.width) == ("NCHW", "float32", 32)
    assert (bundle.preprocess.colour, bundle.preprocess.resize) == ("rgb", "crop")
    assert bundle.preprocess.mean == (0.485, 0.456, 0.406)
    assert len(bundle.digest) == 64


def test_a_bare_file_that_gives_probabilities_is_told_from_one_that_gives_logits(tmp_path, caplog):
    """It is another model: no answer that was kept of the other may be served for it."""
    labels = tmp_path / "colours.txt"
    labels.write_text("red\ngreen\nblue\n")
    networks.write_float_network(tmp_path / "net.onnx", softmax=True)
    with caplog.at_level("INFO"):
        bundle = load_bundle(tmp_path / "net.onnx", labels)

    assert bundle.output == OutputSpec(name="scores", kind="probabilities")
    assert caplog.messages == ["net.onnx gives probabilities already: no softmax is applied to them"]


def test_labels_that_do_not_fit_a_bare_file_are_told_without_a_manifest(tmp_path):
    """There is none that could be wrong."""
    networks.write_float_network(tmp_path / "net.onnx")
    (tmp_path / "two.txt").write_text("red\ngreen\n")

    with pytest.raises(BundleError, match=r"^two\.txt \(LABELS_PATH\): 2 labels, but net\.onnx has 3 classes$"):
        load_bundle(tmp_path / "net.onnx", tmp_path / "two.txt")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("net.pt", "net.pt is a PyTorch file, and an .onnx is needed: .*torch.onnx.export"),
        ("net.safetensors", "net.safetensors is weights without their network.*torch.onnx.export"),
        ("net.H5", "net.H5 is a Keras file.*model.export"),
        ("net.tflite", "net.tflite is a TensorFlow Lite file.*tf2onnx.convert --tflite"),
        ("net.zip", "net.zip is neither an .onnx file nor a bundle's folder"),
    ],
)
def test_a_file_of_another_library_is_refused_with_the_way_to_an_onnx(tmp_path, name, said):
    """Named itself, or lying in the folder that is named."""
    (tmp_path / name).write_bytes(b"\0")

    with pytest.raises(BundleError, match=said) as refusal:
        choose_bundle(tmp_path / name)
    assert "\n" not in str(refusal.value)
    with pytest.raises(BundleError, match=said if name != "net.zip" else "neither the folder nor those in it"):
        choose_bundle(tmp_path)


def test_a_bare_onnx_file_without_labels_is_refused(tmp_path):
    networks.write_float_network(tmp_path / "net.onnx")

    with pytest.raises(BundleError, match="LABELS_PATH must name its labels"):
        load_bundle(tmp_path / "net.onnx")


def test_a_bare_onnx_file_that_the_standard_manifest_does_not_fit_is_refused(tmp_path):
    networks.write_uint8_network(tmp_path / "net.onnx")

    with pytest.raises(BundleError, match=r"this has pixels uint8 \['N', 32, 32, 3\].*Write it a model.json"):
        load_bundle(tmp_path / "net.onnx", tmp_path / "labels.txt")


def test_a_file_that_is_no_onnx_is_refused(tmp_path):
    (tmp_path / "net.onnx").write_bytes(odd.text_as_jpeg())

    with pytest.raises(BundleError, match=r"net\.onnx: ONNX Runtime can't load it"):
        load_bundle(tmp_path / "net.onnx", tmp_path / "labels.txt")


@pytest.mark.parametrize(("fast", "chosen"), [(True, "net-int8"), (False, "net-fp32")])
def test_of_several_bundles_the_int8_one_is_chosen_where_the_cpu_is_fit_for_it(
    tmp_path, write_bundle, monkeypatch, fast, chosen
):
    for name in ("net-fp32", "net-int8", "net-reference"):
        write_bundle(name)
    monkeypatch.setattr(bundles, "has_fast_int8", lambda: fast)

    assert choose_bundle(tmp_path) == tmp_path / chosen


def test_a_bundle_named_itself_or_lying_alone_is_chosen_whatever_its_name(tmp_path, write_bundle):
    path = write_bundle("net-reference")

    assert choose_bundle(path) == path
    assert choose_bundle(tmp_path) == path


def test_where_it_is_not_clear_which_bundle_is_meant_none_is(tmp_path, write_bundle):
    write_bundle("cats")
    write_bundle("dogs")

    with pytest.raises(BundleError, match=r"several models \(cats, dogs\): MODEL_PATH must name one"):
        choose_bundle(tmp_path)


def test_a_path_without_a_model_is_refused(tmp_path, write_bundle):
    shutil.rmtree(write_bundle())

    with pytest.raises(BundleError, match="neither the folder nor those in it"):
        choose_bundle(tmp_path)
    with pytest.raises(BundleError, match="no model at"):
        choose_bundle(tmp_path / "elsewhere")

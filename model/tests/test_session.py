from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from model.bundle import LABELS, MANIFEST, MODEL, load_bundle
from model.errors import BundleError, ModelError
from model.session import Session, softmax
from model.tests import networks


def float_bundle(folder, *, batch="N", factor=1.0, softmax=False):
    """A bundle of the float32 network, as the standard manifest describes it."""
    networks.write_float_network(folder / "net.onnx", batch=batch, factor=factor, softmax=softmax)
    (folder / LABELS).write_text("red\ngreen\nblue\n")
    return load_bundle(folder / "net.onnx", folder / LABELS)


def test_a_session_gives_a_row_of_probabilities_per_picture(write_bundle):
    session = Session(load_bundle(write_bundle()))
    batch = np.zeros((2, 32, 32, 3), np.uint8)
    batch[0, ..., 2] = 255  # all blue
    batch[1, ..., 0] = 51

    probabilities = session.run(batch)

    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, np.array([[0, 0, 1], [0.2, 0, 0]]), atol=1e-6)


def test_an_empty_batch_has_no_rows(write_bundle):
    session = Session(load_bundle(write_bundle()))

    assert session.run(np.empty((0, 32, 32, 3), np.uint8)).shape == (0, 3)


def test_logits_become_probabilities(tmp_path):
    session = Session(float_bundle(tmp_path))
    batch = np.zeros((1, 3, 32, 32), np.float32)
    batch[0, 1] = np.log(2)

    np.testing.assert_allclose(session.run(batch), [[0.25, 0.5, 0.25]], atol=1e-6)


def test_probabilities_of_a_bare_file_are_left_as_they_are(tmp_path):
    """A softmax over them would make all of 1,000 classes about equal, and every answer look like a guess."""
    session = Session(float_bundle(tmp_path, softmax=True))
    batch = np.zeros((1, 3, 32, 32), np.float32)
    batch[0, 1] = np.log(2)

    np.testing.assert_allclose(session.run(batch), [[0.25, 0.5, 0.25]], atol=1e-6)


@pytest.mark.parametrize(
    ("softmax", "stated", "complaint"),
    [
        (True, "logits", 'its output is probabilities already .* the manifest says logits: write "kind": "prob'),
        (
            False,
            "probabilities",
            r'its output has values from -.*, which are no probabilities.* write "kind": "logits"',
        ),
    ],
)
def test_a_manifest_that_contradicts_what_the_network_gives_is_refused(tmp_path, softmax, stated, complaint):
    """Either way the labels would be right and every score wrong."""
    bundle = float_bundle(tmp_path, factor=9.0, softmax=softmax)
    bundle = replace(bundle, output=bundle.output.model_copy(update={"kind": stated}))

    with pytest.raises(BundleError, match=complaint):
        Session(bundle).warm_up()


@pytest.mark.parametrize("softmax", [True, False])
def test_what_a_bare_file_gives_is_never_contradicted(tmp_path, softmax):
    Session(float_bundle(tmp_path, factor=9.0, softmax=softmax)).warm_up()


def test_a_fixed_batch_of_several_pictures_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(BundleError, match="batches of exactly 8 pictures: export it with a dynamic batch"):
        Session(float_bundle(tmp_path, batch=8))


def test_softmax_survives_large_logits():
    """exp(1000) is no float."""
    probabilities = softmax(np.array([[1000, 1000, -1000]], np.float32))

    np.testing.assert_allclose(probabilities, [[0.5, 0.5, 0]])


def test_a_network_with_a_batch_size_of_one_takes_a_batch_picture_by_picture(tmp_path):
    """Many published networks were exported that way."""
    session = Session(float_bundle(tmp_path, batch=1))
    batch = np.zeros((3, 3, 32, 32), np.float32)
    batch[2, 0] = 1

    probabilities = session.run(batch)

    assert probabilities.shape == (3, 3)
    assert probabilities[2].argmax() == 0


def test_an_answer_that_is_not_finite_is_an_error_of_ours(tmp_path):
    """Not a number compares with nothing: ranked, it would look like an answer."""
    session = Session(float_bundle(tmp_path, factor=float("nan")))

    with pytest.raises(ModelError, match="not finite"):
        session.run(np.zeros((1, 3, 32, 32), np.float32))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"input": {"name": "data"}}, "its inputs are pixels uint8 ['N', 32, 32, 3], but the manifest says data uint8"),
        ({"input": {"width": 40}}, "but the manifest says NHWC with height 32 and width 40"),
        ({"input": {"layout": "NCHW"}}, "but the manifest says NCHW with height 32 and width 32"),
        (
            {"output": {"name": "scores"}},
            "its outputs are probabilities float32 ['N', 3], but the manifest says scores",
        ),
    ],
)
def test_a_network_that_is_not_what_the_manifest_says_is_refused(write_bundle, changes, complaint):
    """A wrong layout can run and give wrong answers; better no worker than that one."""
    bundle = load_bundle(write_bundle(**changes))

    with pytest.raises(BundleError) as refusal:
        Session(bundle)
    assert complaint in str(refusal.value)


def test_a_network_of_another_type_than_the_manifest_says_is_refused(write_bundle):
    path = write_bundle()
    networks.write_float_network(path / MODEL)
    manifest = json.loads((path / MANIFEST).read_text())
    manifest["input"]["name"] = "data"
    (path / MANIFEST).write_text(json.dumps(manifest))

    with pytest.raises(BundleError, match=r"data float32 .*, but the manifest says data uint8"):
        Session(load_bundle(path))


def test_a_network_with_another_number_of_classes_is_refused(write_bundle):
    path = write_bundle(classes=2)
    (path / LABELS).write_text("red\ngreen\n")

    with pytest.raises(BundleError, match="the manifest says float32 with 2 classes"):
        Session(load_bundle(path))


def test_a_file_that_is_no_network_is_refused(write_bundle):
    path = write_bundle()
    (path / MODEL).write_bytes(b"\0" * 100)

    with pytest.raises(BundleError, match=r"model\.onnx: ONNX Runtime can't load it"):
        Session(load_bundle(path))

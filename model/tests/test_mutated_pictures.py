"""2,000 damaged pictures: each is refused, or shown as Pillow shows it; none ends in grey that gets a label."""

from __future__ import annotations

import logging
from itertools import islice

import numpy as np
import pytest

from contract.image_header import media_type
from model.errors import PictureError
from model.evaluation.pictures import viewer
from model.opencv import cv2
from tests.pictures import mutations

pytestmark = pytest.mark.long

EACH = 36
EACH_JPEG = 143
COUNTS = {name: EACH_JPEG if name.startswith("jpeg") else EACH for name in mutations.ORIGINALS}
LIMIT = 4  # of 255: mean absolute error, as of any lossy decoder beside another

_START_OF_SCAN = b"\xda"
_METADATA = (*(bytes([marker]) for marker in range(0xE0, 0xF0)), b"\xfe")  # of applications, and comments
_WITHOUT_LENGTH = {b"\0", b"\1", *(bytes([marker]) for marker in range(0xD0, 0xD9))}


@pytest.fixture(scope="module", autouse=True)
def _viewer() -> None:
    viewer.start()


def test_there_are_two_thousand():
    assert sum(COUNTS.values()) >= 2_000


@pytest.mark.parametrize("name", COUNTS)
def test_a_damaged_picture_is_refused_or_shown_as_pillow_shows_it(decoder, name, caplog):
    """Where Pillow refuses what we show, the damage must be in nothing that is seen: the sound picture is the judge.

    It may lie as it is stored, if the damage is in the metadata that say how to turn it.
    """
    sound = mutations.ORIGINALS[name]()
    upright = viewer.view(sound)
    wrong = []
    for number, image in damaged(name, sound):
        try:
            pixels = decoder.decode(image, exif_orientation=True, reduction=lambda _: 1).pixels[..., ::-1]
        except PictureError:
            continue
        try:
            right = [viewer.view(image)]
        except Exception:  # noqa: BLE001 - Pillow's plugins raise what they like
            right = [upright, np.rot90(upright)]
        if (far := min(difference(pixels, one) for one in right)) > LIMIT:
            wrong.append((number, round(far, 1)))

    assert wrong == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == [], "a decoder died"


@pytest.mark.parametrize("name", [name for name in COUNTS if name.startswith("jpeg")])
def test_no_jpeg_is_answered_that_makes_libjpeg_warn_within_a_scan(decoder, name, capfd):
    """Where it warns, it fills up with grey or with what came before: a confident answer to half a picture.

    The judge is OpenCV's libjpeg, which our decoder does not use: it writes its first warning to standard error.
    """
    warned = []
    for number, image in damaged(name, mutations.ORIGINALS[name]()):
        try:
            decoder.decode(image, exif_orientation=True, reduction=lambda _: 1)
        except PictureError:
            continue
        if media_type(image) != "image/jpeg":
            continue
        capfd.readouterr()
        cv2.imdecode(np.frombuffer(from_first_scan(image), np.uint8), cv2.IMREAD_COLOR)
        if warning := capfd.readouterr().err:
            warned.append((number, warning.strip()))

    assert warned == []


@pytest.mark.parametrize(
    ("damage", "warns"),
    [
        (lambda image: image, False),
        (lambda image: image[:2] + b"\0\0\0" + image[2:], False),
        (lambda image: image[: len(image) // 2] + b"\xff\xd9", True),
        (lambda image: image[: len(image) // 2] + b"\xff\xf7" + image[len(image) // 2 :], True),
        (lambda image: image[:2] + b"\0\0\0" + image[2 : len(image) // 2] + b"\xff\xd9", True),
    ],
    ids=["sound", "bytes before the scan", "ends early", "a marker in the scan", "both"],
)
def test_the_judge_sees_damage_in_a_scan_and_only_there(capfd, damage, warns):
    image = damage(mutations.ORIGINALS["jpeg, baseline"]())

    cv2.imdecode(np.frombuffer(from_first_scan(image), np.uint8), cv2.IMREAD_COLOR)

    assert ("Corrupt JPEG data" in capfd.readouterr().err) == warns


def damaged(name, sound):
    """The same every time, numbered."""
    return enumerate(islice(mutations.mutated(sound, name, markers=name.startswith("jpeg")), COUNTS[name]))


def difference(pixels, others):
    if pixels.shape != others.shape:
        return float("inf")
    return float(np.abs(pixels.astype(int) - others.astype(int)).mean())


def from_first_scan(image):
    """A JPEG with only the tables and the frame before its first scan: nothing is left to warn of there.

    As decoders do, it skips what is no marker between segments (ITU-T T.81, B.1.1.2).
    """
    kept, position = image[:2], 2
    while (position := image.find(b"\xff", position)) >= 0:
        marker, length = image[position + 1 : position + 2], image[position + 2 : position + 4]
        if marker == _START_OF_SCAN:
            return kept + image[position:]
        if marker == b"\xff":
            position += 1
        elif marker in _WITHOUT_LENGTH:
            position += 2
        else:
            end = position + 2 + int.from_bytes(length)
            if not marker.startswith(_METADATA):
                kept += image[position:end]
            position = end
    return image

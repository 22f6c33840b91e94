from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from contract.messages import Classification, Failure, FailureKind
from model.bundle import load_bundle
from model.classifier import Classifier
from model.errors import BundleError
from model.picture import Picture
from tests.pictures import odd

RED, GREEN, BLUE = (
    Picture(odd.encoded(Image.new("RGB", (50, 50), colour), "PNG")) for colour in ("#ff1000", "#10ff00", "#1000ff")
)


def half_of_a_red_picture() -> bytes:
    """Uncompressed, so that its upper half is there."""
    whole = odd.encoded(Image.new("RGB", (50, 50), "#ff1000"), "PNG", compress_level=0)
    return whole[: len(whole) // 2]


def best(outcomes):
    return [outcome.labels[0].label for outcome in outcomes]


def test_each_picture_gets_its_own_answer_in_order(write_bundle, decoder):
    bundle = load_bundle(write_bundle())

    outcomes = Classifier(bundle, decoder, top_k=2).predict([GREEN, RED, BLUE, RED])

    assert best(outcomes) == ["green", "red", "blue", "red"]
    for outcome in outcomes:
        assert isinstance(outcome, Classification)
        assert len(outcome.labels) == 2
        assert (outcome.model, outcome.digest) == ("colours", bundle.digest)


def test_a_bad_picture_fails_alone(write_bundle, decoder):
    """It shares a batch with other people's pictures."""
    outcomes = Classifier(load_bundle(write_bundle()), decoder).predict(
        [Picture(odd.text_as_jpeg()), RED, Picture(odd.huge_png()), BLUE]
    )

    assert [type(outcome) for outcome in outcomes] == [Failure, Classification, Failure, Classification]
    assert [outcome.kind for outcome in outcomes if isinstance(outcome, Failure)] == [
        FailureKind.UNDECODABLE,
        FailureKind.TOO_MANY_PIXELS,
    ]
    assert best([outcomes[1], outcomes[3]]) == ["red", "blue"]


def test_each_decoded_picture_is_progress(write_bundle, decoder):
    """A bad one as well: by this a worker knows that its batch does not hang."""
    progress = []
    Classifier(load_bundle(write_bundle()), decoder).predict(
        [RED, Picture(b""), BLUE], on_progress=lambda: progress.append(1)
    )

    assert len(progress) == 3


@pytest.mark.parametrize("images", [[], [b""], [odd.truncated_jpeg(), odd.zero_by_zero_png()]])
def test_a_batch_without_a_sound_picture_is_no_problem(write_bundle, decoder, images):
    outcomes = Classifier(load_bundle(write_bundle()), decoder).predict([Picture(image) for image in images])

    assert [type(outcome) for outcome in outcomes] == [Failure] * len(images)


def test_a_damaged_picture_is_refused_unless_its_sender_asks_for_what_is_there(write_bundle, decoder):
    """Both may come in one batch, of one picture even."""
    half = half_of_a_red_picture()
    strict, lenient = Classifier(load_bundle(write_bundle()), decoder).predict(
        [Picture(half), Picture(half, strict=False)]
    )

    assert isinstance(strict, Failure)
    assert strict.kind is FailureKind.UNDECODABLE
    assert isinstance(lenient, Classification)
    assert lenient.damaged
    assert best([lenient]) == ["red"]


def test_a_sound_picture_is_answered_alike_however_it_is_asked_for(write_bundle, decoder):
    strict, lenient = Classifier(load_bundle(write_bundle()), decoder).predict([RED, replace(RED, strict=False)])

    assert isinstance(strict, Classification)
    assert isinstance(lenient, Classification)
    assert not strict.damaged
    assert not lenient.damaged
    assert lenient.labels == strict.labels


@pytest.mark.parametrize("data", [b"", odd.text_as_jpeg(), odd.huge_png(), odd.zero_by_zero_png()])
def test_what_has_no_pixels_at_all_is_refused_however_it_is_asked_for(write_bundle, decoder, data):
    (outcome,) = Classifier(load_bundle(write_bundle()), decoder).predict([Picture(data, strict=False)])

    assert isinstance(outcome, Failure)


def test_only_what_is_damaged_and_wanted_all_the_same_is_decoded_twice(write_bundle, decoder):
    """Each decoding is progress: two that take as long as they may would otherwise pass for a batch that hangs."""
    half = half_of_a_red_picture()
    classifier = Classifier(load_bundle(write_bundle()), decoder)

    def decodings(picture: Picture) -> int:
        progress: list[None] = []
        classifier.predict([picture], on_progress=lambda: progress.append(None))
        return len(progress)

    assert [decodings(picture) for picture in (RED, replace(RED, strict=False), Picture(half))] == [1, 1, 1]
    assert decodings(Picture(half, strict=False)) == 2


def test_timings_say_what_the_picture_and_its_batch_took(write_bundle, decoder):
    first, second = Classifier(load_bundle(write_bundle()), decoder).predict([RED, Picture(odd.CHELSEA.read_bytes())])

    assert isinstance(first, Classification)
    assert isinstance(second, Classification)
    assert first.timings_ms.decode > 0
    assert first.timings_ms.infer == second.timings_ms.infer > 0


def test_a_model_that_fails_its_golden_check_is_refused(write_bundle, decoder):
    """The weights load and run, and still they are not the ones that were meant."""
    path = write_bundle(golden={"file": "golden.png", "label": "blue"})
    (path / "golden.png").write_bytes(RED.data)

    with pytest.raises(BundleError, match=r"golden\.png: the model says red, but the manifest expects blue"):
        Classifier(load_bundle(path), decoder).verify()


def test_a_golden_picture_that_cannot_be_read_is_refused(write_bundle, decoder):
    path = write_bundle(golden={"file": "golden.png", "label": "blue"})
    (path / "golden.png").write_bytes(RED.data[:50])

    with pytest.raises(BundleError, match=r"golden\.png: the golden picture can't be read"):
        Classifier(load_bundle(path), decoder).verify()


def test_a_model_passes_its_golden_check_or_needs_none(write_bundle, decoder):
    path = write_bundle(golden={"file": "golden.png", "label": "red"})
    (path / "golden.png").write_bytes(RED.data)

    Classifier(load_bundle(path), decoder).verify()
    Classifier(load_bundle(write_bundle("no-golden")), decoder).verify()


def test_the_real_model_passes_its_golden_check(resnet):
    resnet.verify()


@pytest.mark.parametrize(
    ("path", "label"),
    [
        pytest.param(odd.CHELSEA, "Egyptian_cat", id="chelsea"),
        pytest.param(odd.COFFEE, "espresso", id="coffee", marks=pytest.mark.long),
        pytest.param(odd.ROCKET, "missile", id="rocket", marks=pytest.mark.long),
    ],
)
def test_the_real_model_knows_the_photos_in_every_format(resnet, path, label):
    """CMYK, 16 bits, grey, transparent, lying on its side: senders see one photo, so they expect one answer."""
    formats = {"jpeg": path.read_bytes()} | {name: make(path) for name, make in odd.SOUND.items()}

    outcomes = resnet.predict([Picture(image) for image in formats.values()])

    assert dict(zip(formats, best(outcomes), strict=True)) == dict.fromkeys(formats, label)

"""What a report says of two versions whose labels differ; figures and verdicts of real checks are in tests/."""

from __future__ import annotations

import pytest

from api.core.check_report import LabelFindings, PictureSet, ServiceTimes
from api.core.expected_labels import Expected, ExpectedLabels
from api.core.labels import LabelList
from api.core.replay import Question, Replayed
from contract.decoding_cost import DecodingCost
from contract.messages import Classification, Label, Timings
from contract.model_version import ModelVersion

OLD = LabelList(ModelVersion("pets"), "a", ("tabby", "tiger_cat", "lynx", "Cardigan", "cardigan"))
NEW = LabelList(ModelVersion("pets", "2"), "b", ("tiger cat", "puma", "tabby", "cardigan"))
LABELS = ExpectedLabels(OLD, NEW)


def answered(label: str, ms: float = 10.0) -> Classification:
    return Classification("pets", "a", (Label(label, 0.9),), Timings(ms / 2, ms / 2))


def replayed(current: str, candidate: str, words: str) -> Replayed:
    question = Question("0" * 64, DecodingCost("image/png", 1.0), LABELS.of(words))
    return Replayed(question, (answered(current), answered(candidate)))


def findings(*all_replayed: Replayed, missing: tuple[str, ...] = (), used: tuple[str, ...] = ()) -> LabelFindings:
    labelled, times = PictureSet(), ServiceTimes()
    for one in all_replayed:
        labelled.add(one)
        times.add(one)
    return LabelFindings(
        current=OLD.model,
        labelled=labelled,
        feedback=PictureSet(),
        stored=PictureSet(),
        times=times,
        missing=missing,
        used=used,
        slower_ratio=1.5,
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tabby", Expected("tabby", "tabby")),
        ("Tiger Cat", Expected("tiger_cat", "tiger cat")),
        ("lynx", Expected("lynx", "")),
        ("puma", Expected("", "puma")),
        ("Cardigan", Expected("Cardigan", "cardigan")),
        ("CARDIGAN", Expected("", "cardigan")),
        ("dog", Expected("", "")),
    ],
)
def test_each_version_is_asked_for_its_own_spelling(words, expected):
    assert LABELS.of(words) == expected
    assert expected.known == (words != "dog")


def test_labels_that_the_candidate_lacks_are_listed_however_they_are_spelt():
    assert LABELS.missing() == ("lynx", "Cardigan")


def test_two_spellings_of_a_label_agree_and_are_both_right():
    report = findings(replayed("tiger_cat", "tiger cat", "tiger cat")).report()

    assert (report.labelled.agreed, report.labelled.right_current, report.labelled.right_candidate) == (1, 1, 1)
    assert report.disagreements == ()


def test_a_label_that_only_one_of_them_has_is_right_for_that_one_alone():
    report = findings(replayed("lynx", "puma", "lynx"), replayed("lynx", "puma", "puma")).report()

    assert (report.labelled.only_current, report.labelled.only_candidate) == (1, 1)
    assert [one.expected for one in report.disagreements] == ["lynx", "puma"]


def test_a_label_that_is_lacking_fails_if_a_labelled_picture_has_it():
    """The candidate can't get it right, however few of the pictures they are."""
    same = [replayed("tabby", "tabby", "tabby")] * 200
    failed = findings(*same, missing=("lynx", "wolf"), used=("tabby", "wolf")).report()
    passed = findings(*same, missing=("lynx", "wolf"), used=("tabby",)).report()

    assert (failed.passed, failed.verdict) == (False, "it lacks labels that are needed: wolf")
    assert passed.passed
    assert passed.missing_labels == ("lynx", "wolf")


def test_every_reason_is_told():
    lost = [Replayed(replayed("tabby", "lynx", "tabby").question, (answered("tabby"), answered("lynx", 16.0)))] * 100
    report = findings(*lost, missing=tuple("abcdefg"), used=tuple("abcdefg")).report()

    assert report.verdict == (
        "it is worse: 0 of 100 labelled pictures right, pets@1 100, which is -100.0 points (95% interval -100.0 to "
        "-100.0); it is slower: 16.0 ms a picture, pets@1 10.0 ms, of which it may take 1.5 times; "
        "it lacks labels that are needed: a, b, c, d, e and 2 more"
    )


def test_of_very_many_disagreements_a_thousand_are_kept():
    report = findings(*[replayed("tabby", "puma", "tabby")] * 1500).report()

    assert len(report.disagreements) == 1000
    assert report.labelled.agreed == 0

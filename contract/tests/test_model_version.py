"""How a version of a model is named: by people, in Redis, and in what callers ask for."""

from __future__ import annotations

import pytest

from contract import keys
from contract.job_queue import async_queue_name, queue_name
from contract.model_version import ModelVersion, WantedModel


def test_the_first_version_has_the_keys_that_models_had_before_there_were_versions():
    """During an upgrade processes of both kinds find the same jobs, answers and workers."""
    first = ModelVersion("resnet50")

    assert first.version == "1"
    assert first.key == "resnet50"
    assert (queue_name(first.key), async_queue_name(first.key)) == ("classify-resnet50", "tickets-resnet50")
    assert keys.workers(first.key) == "workers:resnet50"


def test_any_other_version_has_keys_of_its_own():
    second = ModelVersion("resnet50", "2")

    assert second.key == "resnet50@2"
    assert queue_name(second.key) == "classify-resnet50@2"
    assert keys.labels(second.key, "d") == "labels:resnet50@2:d"


@pytest.mark.parametrize("model", [ModelVersion("a"), ModelVersion("a", "2"), ModelVersion("a-b.c_d", "2026-01.rc_1")])
def test_a_key_says_which_version_it_belongs_to(model):
    assert ModelVersion.from_key(model.key) == model


def test_people_read_name_and_version_of_every_version():
    assert [str(ModelVersion("a")), str(ModelVersion("a", "2"))] == ["a@1", "a@2"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("resnet50", WantedModel("resnet50")),
        ("resnet50@1", WantedModel("resnet50", "1")),
        ("efficientnet-lite2@2026.1", WantedModel("efficientnet-lite2", "2026.1")),
        ("a" * 64 + "@" + "1" * 32, WantedModel("a" * 64, "1" * 32)),
    ],
)
def test_a_caller_asks_for_a_name_or_for_a_version(text, wanted):
    assert WantedModel.parse(text) == wanted
    assert str(wanted) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "@1", "resnet50@", "resnet50@1@2", "resnet 50", "resnet50\n", "resnet50@1\n", " resnet50"),
        *("a" * 65, "a@" + "1" * 33, "-a", ".a", "a@-1", "a/b", "a:b", "a*", "é", "a@é", "../a"),
    ],
)
def test_what_could_be_no_name_never_becomes_part_of_a_key(text):
    with pytest.raises(ValueError, match="a model is named as name or name@version"):
        WantedModel.parse(text)

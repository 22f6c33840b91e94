"""What workers publish of their bundles, and what the API makes of what it finds there."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from contract import keys
from contract.model_description import (
    LONGEST_FACT,
    MOST_FACTS,
    ModelDescription,
    publish_description,
    read_descriptions,
)
from contract.worker_registry import ALIVE_FOR_S, LABELS_KEPT_FOR_S

MODEL, DIGEST = "resnet50@2", "d" * 64
KNOWN = ModelDescription(
    task="classification",
    precision="int8",
    width=224,
    height=192,
    labels=1000,
    licence="MIT",
    provenance={"source": "somebody's"},
)


def test_what_a_worker_publishes_of_a_version_is_read_of_that_version(redis):
    publish_description(redis, MODEL, DIGEST, KNOWN)
    publish_description(redis, "resnet50", DIGEST, replace(KNOWN, licence=None, provenance={}))

    assert read_descriptions(redis, [("resnet50", DIGEST), (MODEL, DIGEST), (MODEL, "e" * 64)]) == [
        replace(KNOWN, licence=None, provenance={}),
        KNOWN,
        None,
    ]


def test_a_detectors_bounds_are_read_and_what_can_be_none_is_left_out(redis):
    detector = replace(KNOWN, task="detection", min_score=0.1, max_objects=100)
    publish_description(redis, MODEL, DIGEST, detector)
    publish_description(redis, "odd", DIGEST, replace(detector, min_score=0.0))
    publish_description(redis, "odder", DIGEST, replace(detector, max_objects=0))
    found = read_descriptions(redis, [(MODEL, DIGEST), ("odd", DIGEST), ("odder", DIGEST)])

    assert found == [detector, *[replace(detector, min_score=None, max_objects=None)] * 2]


def test_of_a_classifier_the_same_is_published_as_before_there_were_detectors(redis):
    """Workers of two versions would else overwrite each other's each second."""
    publish_description(redis, MODEL, DIGEST, KNOWN)

    assert set(json.loads(redis.get(keys.description(MODEL, DIGEST)))) == {
        "task", "precision", "width", "height", "labels", "licence", "provenance",
    }  # fmt: skip


def test_it_lives_as_labels_do(redis):
    """As long as a worker renews it, and a little longer than the worker's entry."""
    publish_description(redis, MODEL, DIGEST, KNOWN)
    redis.expire(keys.description(MODEL, DIGEST), 1)
    publish_description(redis, MODEL, DIGEST, KNOWN)

    assert ALIVE_FOR_S < redis.ttl(keys.description(MODEL, DIGEST)) <= LABELS_KEPT_FOR_S


@pytest.mark.parametrize(
    "forged",
    [
        b"", b"{", b"\xff", b"null", b"[]", b"7", b"[" * 100_000,
        json.dumps(asdict(KNOWN) | {"width": "224"}).encode(),
        json.dumps({"task": "classification"}).encode(),
    ],
    ids=lambda raw: repr(raw[:20]),
)  # fmt: skip
def test_what_is_no_description_is_none(redis, forged):
    """Written by hand, or by another version: a model without a description is still listed."""
    redis.set(keys.description(MODEL, DIGEST), forged)

    assert read_descriptions(redis, [(MODEL, DIGEST)]) == [None]


def test_a_key_of_another_kind_hides_no_other_model(redis):
    redis.rpush(keys.description(MODEL, DIGEST), "x")
    publish_description(redis, "resnet50", DIGEST, KNOWN)

    assert read_descriptions(redis, [(MODEL, DIGEST), ("resnet50", DIGEST)]) == [None, KNOWN]


def test_what_a_manifest_says_of_itself_at_length_is_cut(redis):
    """It is shown to whoever asks for the models."""
    facts = {f"fact {number}": "x" * 5000 for number in range(100)}
    publish_description(redis, MODEL, DIGEST, replace(KNOWN, provenance=facts))
    (found,) = read_descriptions(redis, [(MODEL, DIGEST)])

    assert found is not None
    assert len(found.provenance) == MOST_FACTS
    assert {len(fact) for fact in found.provenance.values()} == {LONGEST_FACT}

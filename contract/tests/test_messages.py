from __future__ import annotations

import json

import pytest

from contract.errors import UnknownOutcome
from contract.messages import (
    Classification,
    ClassifyJob,
    Dropped,
    Failure,
    FailureKind,
    Label,
    Timings,
    outcome_from_json,
    outcome_from_wire,
)

CAT = Classification("resnet50", "d" * 64, (Label("tabby", 0.75), Label("lynx", 0.25)), Timings(1.5, 20.0))


@pytest.mark.parametrize("outcome", [CAT, Failure(FailureKind.UNDECODABLE, "cut short"), Dropped()], ids=type)
def test_an_outcome_survives_the_wire(outcome):
    """Through JSON and back it is the same message."""
    assert outcome_from_wire(json.loads(json.dumps(outcome.to_wire()))) == outcome


def test_a_job_survives_the_wire():
    job = ClassifyJob("0" * 64, cache=True)

    assert ClassifyJob.from_args(json.loads(json.dumps(job.to_args()))) == job


@pytest.mark.parametrize(
    "wire",
    [
        None, [], "classified", {}, {"outcome": "new kind"}, {"outcome": "failed", "kind": "novel", "detail": ""},
        {**CAT.to_wire(), "labels": [["tabby"]]}, {**CAT.to_wire(), "labels": []}, {**CAT.to_wire(), "labels": 3},
        {**CAT.to_wire(), "labels": [["tabby", float("nan")]]}, {**CAT.to_wire(), "labels": [["tabby", 10**400]]},
        {**CAT.to_wire(), "model": None},
    ],
)  # fmt: skip
def test_what_is_not_an_outcome_is_refused(wire):
    """Redis may hold what another version, or another program, wrote."""
    with pytest.raises(UnknownOutcome):
        outcome_from_wire(wire)


@pytest.mark.parametrize("args", [None, [], ["0" * 64], ["0" * 64, "yes"], [1, True], ["0" * 64, True, 1]])
def test_what_is_not_a_job_is_refused(args):
    with pytest.raises(ValueError, match="not a classify job"):
        ClassifyJob.from_args(args)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b'"classified"'])
def test_what_is_no_json_of_an_outcome_is_refused(text):
    with pytest.raises(UnknownOutcome):
        outcome_from_json(text)

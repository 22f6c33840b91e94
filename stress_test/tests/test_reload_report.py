"""What the report of versions that change under load counts as a failure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from stress_test.capacity.wrk import Load
from stress_test.machine import Machine
from stress_test.reload.report import Changed, Figures, render
from stress_test.reload.witnesses import Seen

LOAD = Load(32, 20.0, 1000, 0, 20.0, 30.0, 40.0, 50.0, 0.1)
FIRST, SECOND = Seen(False, 1.0, 200, "1", "resnet50@aaa"), Seen(False, 2.0, 200, "2", "resnet50@bbb")
PINNED = Seen(True, 2.0, 200, "1", "resnet50@aaa")
GOOD = Figures(
    day=datetime(2026, 11, 27, tzinfo=UTC).date(),
    machine=Machine("a processor", 2, 0.1, {}),
    steady=LOAD,
    during=LOAD,
    changes=[Changed("reload", 1.0), Changed("rollback", 0.1), Changed("reload", 3.0)],
    seen=[FIRST, SECOND, PINNED],
    alone_mb=185,
    both_mb=249,
    after_mb=190,
)


def test_when_all_was_answered_by_both_versions_it_has_passed():
    report = render(GOOD)

    assert GOOD.passed
    assert "1 by `resnet50@aaa`, 1 by `resnet50@bbb`" in report
    assert "| reload | 2 | 2.00 | 3.00 |" in report
    assert "**Passed**" in report


def test_a_pinned_request_may_be_refused_while_nobody_serves_its_version():
    assert replace(GOOD, seen=[*GOOD.seen, Seen(True, 3.0, 503)]).passed


@pytest.mark.parametrize(
    "figures",
    [
        replace(GOOD, during=replace(LOAD, failed=1)),
        replace(GOOD, seen=[*GOOD.seen, Seen(False, 3.0, 503)]),
        replace(GOOD, seen=[*GOOD.seen, Seen(True, 3.0, 0)]),
        replace(GOOD, seen=[*GOOD.seen, replace(PINNED, version="2")]),
        replace(GOOD, seen=[FIRST, PINNED]),
    ],
    ids=["of the load", "refused", "broken", "answered by another version", "the second never answered"],
)
def test_one_that_fails_is_enough_to_fail(figures):
    assert not figures.passed
    assert "**FAILED**" in render(figures)

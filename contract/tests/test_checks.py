from __future__ import annotations

import time
from dataclasses import replace

import pytest

from contract import checks, keys
from contract.checks import BROKEN_OFF, RUNS_FOR_S, Check, Compared, Disagreed, Report
from contract.model_version import ModelVersion

CANDIDATE, ANOTHER = ModelVersion("pets", "2"), ModelVersion("pets", "3")
CHECK = Check(
    against="pets", digests=("d" * 64,), done=0, of=250, began="2026-01-31T12:00:00+00:00", by="an operator", run="r1"
)
REPORT = Report(
    passed=True,
    verdict="pets@2 is as good",
    labelled=Compared(
        pictures=250, agreed=240, right_current=220, right_candidate=222, only_current=3, only_candidate=5,
        difference=0.008, low=-0.01, high=0.02, left_out=1,
    ),
    stored=Compared(pictures=500, agreed=497),
    mean_ms_current=20.0,
    mean_ms_candidate=21.0,
    p99_ms_current=40.0,
    p99_ms_candidate=41.0,
    missing_labels=("lynx",),
    disagreements=(Disagreed(picture="a" * 64, expected="tabby", current="tabby", candidate="lynx"),),
)  # fmt: skip


def test_a_check_is_read_as_it_was_written(redis):
    checks.begin(redis, CANDIDATE, CHECK)
    ended = replace(CHECK, done=250, report=REPORT)
    checks.write(redis, CANDIDATE, ended)

    assert checks.read(redis, CANDIDATE) == ended


def test_what_an_older_process_has_written_is_read_too(redis):
    """It told neither of its run nor how many pictures it left out."""
    old = replace(CHECK, run="", report=REPORT)
    text = old.to_json().replace('"run":"",', "").replace(',"left_out":1', "").replace(',"left_out":0', "")
    redis.set(keys.check(CANDIDATE.key), text)

    assert checks.read(redis, CANDIDATE) == replace(
        old, report=replace(REPORT, labelled=replace(REPORT.labelled, left_out=0))
    )


@pytest.mark.parametrize("garbage", ["", "[]", "{}", '{"report": 1, "digests": []}', "[" * 10_000])
def test_what_is_not_ours_is_no_check(redis, garbage):
    redis.set(keys.check(CANDIDATE.key), garbage)

    assert checks.read(redis, CANDIDATE) is None


def test_of_one_model_one_check_runs_at_a_time(redis):
    """Whichever version it is of: both would take the time of the same workers, and be slow together."""
    second = replace(CHECK, run="r2")

    assert checks.begin(redis, CANDIDATE, CHECK)
    assert not checks.begin(redis, CANDIDATE, second)
    assert not checks.begin(redis, ANOTHER, second)
    assert checks.begin(redis, ModelVersion("cars", "2"), second)
    assert checks.read(redis, CANDIDATE) == CHECK


@pytest.mark.parametrize("end", [{"report": REPORT}, {"fault": "Redis did not answer"}])
def test_once_it_has_ended_another_begins(redis, end):
    checks.begin(redis, CANDIDATE, CHECK)
    checks.write(redis, CANDIDATE, replace(CHECK, **end))

    assert checks.begin(redis, CANDIDATE, replace(CHECK, run="r2"))


def test_a_check_whose_process_has_died_says_so_and_can_be_begun_again(redis):
    checks.begin(redis, CANDIDATE, CHECK)
    redis.delete(keys.checking("pets"))  # as Redis does after RUNS_FOR_S
    found = checks.read(redis, CANDIDATE)

    assert found == replace(CHECK, fault=BROKEN_OFF)
    assert checks.begin(redis, CANDIDATE, replace(CHECK, run="r2"))


def test_progress_keeps_it_alive(redis):
    checks.begin(redis, CANDIDATE, CHECK)
    redis.expire(keys.checking("pets"), 1)
    checks.write(redis, CANDIDATE, replace(CHECK, done=10))

    assert redis.ttl(keys.checking("pets")) > RUNS_FOR_S - 2


def test_a_process_that_was_silent_for_too_long_writes_nothing_over_its_successor(redis):
    checks.begin(redis, CANDIDATE, CHECK)
    redis.delete(keys.checking("pets"))
    second = replace(CHECK, run="r2")
    checks.begin(redis, CANDIDATE, second)

    assert not checks.write(redis, CANDIDATE, replace(CHECK, report=REPORT))
    assert checks.read(redis, CANDIDATE) == second


def test_one_that_falls_silent_between_a_look_and_a_write_writes_nothing(redis, monkeypatch):
    """Redis ends the transaction when the watched key expires."""
    checks.begin(redis, CANDIDATE, CHECK)
    redis.pexpire(keys.checking("pets"), 50)
    to_json = Check.to_json

    def slow(check: Check) -> str:
        time.sleep(0.1)
        return to_json(check)

    monkeypatch.setattr(Check, "to_json", slow)
    kept = checks.write(redis, CANDIDATE, replace(CHECK, done=200))
    found = checks.read(redis, CANDIDATE)

    assert not kept
    assert found is not None
    assert (found.done, found.fault) == (0, BROKEN_OFF)

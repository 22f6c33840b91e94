"""The bookkeeping of what became of requests, without a service."""

from __future__ import annotations

import itertools
import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import pytest
from PIL import Image

from stress_test.chaos.report import Figures, render
from stress_test.chaos.rounds import Round
from stress_test.machine import Machine
from stress_test.traffic.fates import Answer, Fate, Sent, counts, fate_of, fate_of_job
from stress_test.traffic.open_loop import OpenLoop
from stress_test.traffic.photos import base_photos, marked

TRUTH = (("missile", 0.65), ("projectile", 0.25))
RIGHT = [{"label": "missile", "confidence": 0.651}, {"label": "projectile", "confidence": 0.25}]


def answer(status: int, body: object = None, **headers: str) -> Answer:
    return Answer(status, headers, json.dumps(body).encode())


def sent(at_s: float, fate: Fate = Fate.ANSWERED, took_s: float = 0.5) -> Sent:
    return Sent("a", "/infer", at_s, at_s + took_s, fate, "" if fate is Fate.ANSWERED else "503: busy | full")


@pytest.mark.parametrize("score", ["score", "confidence"])
def test_the_labels_of_an_undisturbed_run_are_right_in_the_words_of_every_route(score):
    labels = [{"label": seen["label"], score: seen["confidence"]} for seen in RIGHT]

    assert fate_of(answer(200, {"predictions": labels}), TRUTH) == (Fate.ANSWERED, "")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"predictions": RIGHT[::-1]}, id="other order"),
        pytest.param({"predictions": RIGHT[:1]}, id="too few"),
        pytest.param({"predictions": [{**RIGHT[0], "confidence": 0.5}, RIGHT[1]]}, id="other score"),
        pytest.param({"success": True}, id="none"),
        pytest.param("text", id="no object"),
    ],
)
def test_any_other_200_is_wrong(body):
    """A service that answers at once with nonsense must not pass."""
    assert fate_of(answer(200, body), TRUTH)[0] is Fate.WRONG


def test_a_refusal_says_when_to_come_again_and_all_else_has_failed():
    assert fate_of(answer(503, {"detail": "busy"}, **{"retry-after": "3"}), TRUTH) == (Fate.REFUSED, "503: busy")
    assert fate_of(answer(503, {"detail": "busy"}), TRUTH)[0] is Fate.FAILED
    assert fate_of(answer(500, None, **{"retry-after": "3"}), TRUTH)[0] is Fate.FAILED


def test_a_job_has_no_fate_until_it_has_ended():
    assert fate_of_job({"state": "running"}, TRUTH) is None
    assert fate_of_job({"state": "done", "result": {"predictions": RIGHT}}, TRUTH) == (Fate.ANSWERED, "")
    assert fate_of_job({"state": "done", "result": {"predictions": []}}, TRUTH)[0] is Fate.WRONG  # type: ignore[index]
    assert fate_of_job({"state": "failed", "error": {"kind": "lost"}}, TRUTH)[0] is Fate.FAILED  # type: ignore[index]


def test_a_mark_changes_the_bytes_and_no_pixel():
    photo = next(iter(base_photos().values()))
    first, second = marked(photo, "run-1"), marked(photo, "run-2")

    assert len({photo, first, second}) == 3
    assert Image.open(BytesIO(first)).tobytes() == Image.open(BytesIO(photo)).tobytes()


def test_recovery_counts_requests_that_were_sent_after_the_fault():
    """One that was sent before and answered after says nothing about the service after the fault."""
    requests = [sent(9.9), sent(10.1, Fate.BROKEN), sent(12, Fate.REFUSED), sent(12.5, took_s=1), sent(13), sent(15)]

    seen = Round.of("a fault", requests, fault_s=10, over_s=15)

    assert seen.first_right_s == pytest.approx(3.5)
    assert seen.rate_back_s == pytest.approx(2)
    assert seen.fates == counts(requests)
    assert sum(seen.fates.values()) == len(requests)


def test_a_service_that_never_came_back_has_no_time_of_recovery():
    seen = Round.of("a fault", [sent(9), sent(10.1, Fate.FAILED), sent(14.9, Fate.FAILED)], fault_s=10, over_s=15)

    assert (seen.first_right_s, seen.rate_back_s) == (None, None)


@pytest.mark.parametrize("fate", list(Fate))
def test_only_what_is_lost_or_wrong_fails_the_run(fate):
    figures = _figures(Round.of("a fault", [sent(10.5, fate), sent(12)], fault_s=10, over_s=20))

    assert figures.passed == (fate not in {Fate.LOST, Fate.WRONG})


def test_a_run_that_was_broken_off_or_from_which_the_service_did_not_recover_has_failed():
    good = Round.of("a fault", [sent(10.5)], fault_s=10, over_s=20)
    never_back = Round.of("a fault", [sent(10.5, Fate.REFUSED)], fault_s=10, over_s=11)
    broken_off = replace(_figures(good), broken_off="a fault: the service is gone")

    assert _figures(good).passed
    assert not _figures(good, never_back).passed
    assert not _figures().passed
    assert not broken_off.passed
    assert "- **Broken off**: a fault: the service is gone." in render(broken_off)


def test_the_report_says_of_every_fault_how_requests_ended_and_why():
    bad = Round.of("a fault", [sent(10.5, Fate.REFUSED)], fault_s=10, over_s=11)
    good = Round.of("a fault", [sent(10.5)], fault_s=10, over_s=20)

    report = render(_figures(bad, good))

    assert "| a fault | 2 | 2 | 1 | 1 | 0 | 0 | 0 | 0 | never / never | never / never |" in report
    assert "| a fault | refused | 1 | /infer: 503: busy / full |" in report


def test_the_load_does_not_wait_for_answers():
    """A service that hangs must not be spared."""
    everybody_came = threading.Barrier(4)

    def wait_for_the_others(number: int) -> Sent:
        everybody_came.wait(30)
        return sent(float(number))

    with OpenLoop(wait_for_the_others, rate=1, numbers=itertools.count()) as load:
        load.burst(3)

    assert len(load.ended()) == 4


def _figures(*rounds: Round) -> Figures:
    return Figures(datetime(2026, 11, 26, tzinfo=UTC).date(), Machine("a processor", 2, 0.1, {}), 5.0, rounds, [])

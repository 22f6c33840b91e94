from __future__ import annotations

import json

import pytest

from stress_test.capacity.figures import Spread, Target, percentile, ratios, slope
from stress_test.capacity.open_loop import Response
from stress_test.capacity.rounds import take_turns
from stress_test.capacity.scenarios.memory import Course
from stress_test.capacity.scenarios.overload import Flood, Overload
from stress_test.capacity.wrk import Load, parse
from stress_test.errors import CannotMeasure


def load(per_s: float, concurrency: int = 32, p50_ms: float = 100.0) -> Load:
    return Load(concurrency, 10.0, round(10 * per_s), 0, p50_ms, 2 * p50_ms, 3 * p50_ms, 4 * p50_ms, 0.5)


def test_a_spread_is_the_median_and_the_extremes():
    """One round that something else disturbed must not move the figure."""
    spread = Spread.of([3.0, 90.0, 1.0, 2.0, 4.0])

    assert spread == Spread(median=3.0, low=1.0, high=90.0)
    assert spread.text(1) == "3.0 (1.0 to 90.0)"
    assert Spread.of([2.0]).text(0) == "2"


def test_a_spread_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no round"):
        Spread.of([])


def test_a_ratio_is_taken_round_by_round():
    """A round on a machine that is half as fast halves both sides, and gives the same ratio."""
    assert ratios([90, 45, 91], [100, 50, 100]) == Spread(0.9, 0.9, 0.91)


def test_rounds_that_do_not_pair_up_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        ratios([1, 2], [1])


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.99, 0.0), ([5.0], 0.5, 5.0), ([4, 1, 3, 2], 0.5, 2), (range(1, 101), 0.99, 99), (range(1, 101), 1.0, 100)],
)
def test_a_percentile_is_a_value_that_was_measured(values, share, expected):
    assert percentile(values, share) == expected


@pytest.mark.parametrize(
    ("points", "expected"),
    [([], 0.0), ([(1, 5)], 0.0), ([(1, 5), (1, 9)], 0.0), ([(0, 1), (1, 3), (2, 5)], 2.0), ([(0, 7), (9, 7)], 0.0)],
)
def test_a_slope_is_that_of_the_least_squares(points, expected):
    assert slope(points) == expected


@pytest.mark.parametrize(
    ("reached", "at_least", "met"),
    [(1.0, True, True), (0.999, True, False), (1.0, False, True), (1.001, False, False)],
)
def test_a_target_is_met_by_the_median_unrounded(reached, at_least, met):
    """0.999 prints as 1.00, but is still less."""
    assert Target(what="it", limit=1.0, at_least=at_least, reached=Spread(reached, 0.0, 9.0), digits=2).met is met


def test_a_target_that_could_not_be_measured_is_neither_met_nor_missed():
    assert Target(what="it", limit=1.0, at_least=True, reached=None, digits=2).met is None


def test_turns_go_back_and_forth():
    """A contestant that always follows the same neighbour would pay for what that one leaves behind."""
    seen: list[str] = []
    take_turns([lambda: seen.append("a"), lambda: seen.append("b"), lambda: seen.append("c")], rounds=3)

    assert "".join(seen) == "abccbaabc"


def test_what_wrk_prints_is_read_with_errors_apart():
    line = {"duration_us": 2_000_000, "requests": 200, "unanswered": 3, "refused": 20}
    times = {"p50_us": 1500, "p90_us": 2500, "p99_us": 3500, "max_us": 4500}
    seen = parse(f"Running 2s test\n  200 requests\n\n{json.dumps({**line, **times})}\n", 32, 0.1)

    assert (seen.answered, seen.failed, seen.per_s) == (180, 23, 90.0)
    assert (seen.p50_ms, seen.p99_ms) == (1.5, 3.5)
    assert seen.generator_cpu_share == 0.05


def test_a_turn_in_which_nothing_was_answered_does_not_count():
    """A refusal takes a millisecond and no memory: it would keep every limit."""
    line = {"duration_us": 2_000_000, "requests": 200, "unanswered": 3, "refused": 200}
    times = {"p50_us": 1500, "p90_us": 2500, "p99_us": 3500, "max_us": 4500}
    with pytest.raises(CannotMeasure, match="no answer but 200 refusals or errors"):
        parse(json.dumps({**line, **times}), 32, 0.1)


def test_overload_counts_what_came_after_the_queue_had_filled():
    """While the queue fills, everything is accepted; that says nothing about overload."""
    filling = [Response(0.0, 0.5, 200, None)] * 50
    steady = [Response(2.0, 3.0, 200, None), Response(2.0, 3.5, 200, None), Response(3.0, 3.02, 503, "1")]
    afterwards = [Response(11.0, 13.0, 200, None)]
    flood = Flood.of([*filling, *steady, *afterwards], load(0.5), rate=2.0, seconds=12.0, cpu_s=0.13)

    assert (flood.in_time_per_s, flood.refused_per_s) == (0.2, 0.1)
    assert (flood.accepted_p99_ms, round(flood.refused_p99_ms)) == (1500.0, 20)
    assert (flood.late, flood.others) == (0, {})
    assert flood.generator_cpu_share == pytest.approx(0.01)


def test_a_label_after_the_deadline_is_late_and_not_goodput():
    """Its sender has gone. At the deadline it is in time; after the turn, late is still late."""
    at_the_deadline, past_it = Response(3.0, 5.0, 200, None), Response(3.0, 5.5, 200, None)
    after_the_turn = Response(11.0, 13.5, 200, None)
    flood = Flood.of([at_the_deadline, past_it, after_the_turn], load(1), rate=4.0, seconds=12.0, cpu_s=0.0)
    targets = {target.what: target for target in Overload((flood,)).targets}

    assert (flood.in_time_per_s, flood.late, flood.others) == (0.1, 2, {})
    assert flood.accepted_p99_ms == 2500.0
    assert targets["overload: goodput (answers in time) ÷ peak"].reached == Spread.of([0.1])
    assert targets["overload: answers other than 200 in time and refusals with Retry-After"].reached == Spread.of([2])


def test_the_time_of_refusals_is_not_measured_where_nothing_was_refused():
    """The 99th percentile of nothing would be 0 ms, and keep any limit."""
    flood = Flood.of([Response(3.0, 4.0, 200, None)], load(1), rate=4.0, seconds=12.0, cpu_s=0.0)
    met = {target.what: target.met for target in Overload((flood,)).targets}

    assert met["overload: p99 of the time to a refusal, ms"] is None
    assert met["overload: p99 of the accepted, ms (deadline 2 s)"] is True


def test_overload_counts_every_answer_that_is_neither_a_label_nor_a_refusal_with_retry_after():
    """Also while the queue fills: a 503 that does not say when to try again sends its client into a loop."""
    odd = [Response(0, 1, 503, None), Response(0, 1, 500, None), Response(5, 6, 504, None), Response(5, 6, 0, None)]
    flood = Flood.of(odd, load(1), rate=4.0, seconds=10.0, cpu_s=0.0)

    assert flood.others == {0: 1, 500: 1, 503: 1, 504: 1}


def test_a_slope_of_memory_leaves_the_warming_up_out():
    """An allocator's first growth is not a leak."""
    growing = tuple((100.0 * step, 50.0 + step) for step in range(50))
    flat = tuple((5000.0 + 100 * step, 100.0) for step in range(50))
    course = Course("worker 1", 50.0, growing + flat, 100.0)

    assert course.slope_mb == 0.0
    assert course.after_mb == 100.0
    assert course.peak_mb == 100.0


def test_memory_after_5000_pictures_is_not_invented_if_there_were_fewer():
    assert Course("worker 1", 50.0, ((0.0, 50.0), (4999.0, 51.0)), 51.0).after_mb is None

"""Models that share a worker have the same share of its time, whatever a picture costs each of them."""

from __future__ import annotations

from collections import Counter

from model.serving.turns import MOST_DUE_S, Turns


def times(turns: Turns, costs_s: dict[str, float], until_s: float) -> Counter[str]:
    """The seconds that each of ``costs_s`` has had, all of them always waiting, each turn as long as given."""
    had: Counter[str] = Counter()
    while had.total() < until_s:
        model, *_ = turns.order(list(costs_s))
        turns.served(model, costs_s[model])
        had[model] += costs_s[model]  # type: ignore[assignment]  # a Counter of seconds
    return had


def test_one_model_alone_always_has_its_turn():
    turns = Turns()

    assert times(turns, {"a": 0.1}, 10) == {"a": 10}


def test_those_that_wait_have_the_same_time_whatever_a_turn_takes_them():
    """Not the same number of pictures: a network that is ten times as slow would have nearly all of the worker."""
    had = times(Turns(), {"slow": 0.15, "quick": 0.015, "between": 0.04}, 60)

    assert max(had.values()) - min(had.values()) < 0.3  # two turns of the slowest


def test_of_equals_the_one_goes_first_whose_turn_is_longest_ago():
    turns = Turns()
    for model in ("a", "b", "c"):
        turns.order([model])
        turns.served(model, 0.1)

    assert turns.order(["c", "b", "a", "never"]) == ["never", "a", "b", "c"]


def test_a_model_that_comes_seldom_goes_before_one_that_always_waits():
    """It never has its share, so it is served at once."""
    turns = Turns()
    for _ in range(50):
        assert turns.order(["busy"]) == ["busy"]
        turns.served("busy", 0.1)
        assert turns.order(["busy", "seldom"])[0] == "seldom"
        turns.served("seldom", 0.01)


def test_a_model_that_has_nothing_waiting_saves_nothing_up():
    """Otherwise one that comes back after a quiet hour would have the worker to itself."""
    turns = Turns()
    times(turns, {"busy": 0.1}, 3600)

    had = times(turns, {"busy": 0.1, "back": 0.1}, 4)

    assert abs(had["busy"] - had["back"]) < 0.21


def test_a_model_that_had_too_much_owes_nothing_once_it_had_nothing_waiting():
    turns = Turns()
    turns.order(["a", "b"])
    turns.served("a", 4.0)
    turns.order(["b"])  # a has nothing

    had = times(turns, {"a": 0.1, "b": 0.1}, 4)

    assert abs(had["a"] - had["b"]) < 0.21


def test_one_turn_that_took_very_long_is_paid_for_up_to_a_bound():
    """A picture that hung for a minute must not keep its model's others waiting for a minute more."""
    turns = Turns()
    turns.order(["a", "b"])
    turns.served("a", 60.0)

    paid_s = 0.0
    while turns.order(["a", "b"])[0] == "b":
        turns.served("b", 0.1)
        paid_s += 0.1
    assert MOST_DUE_S <= paid_s <= 2 * MOST_DUE_S + 0.2


def test_a_version_that_is_served_no_longer_is_forgotten():
    """Its seconds are no others' debt, and one that comes under the same name begins anew."""
    turns = Turns()
    turns.order(["a", "b"])
    turns.served("a", 1.0)
    turns.forget("a")

    assert turns.order(["b", "a"]) == ["b", "a"]
    turns.served("b", 0.1)
    assert turns.order(["b", "a"]) == ["a", "b"]

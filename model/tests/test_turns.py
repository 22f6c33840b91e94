"""Models that share a worker have the same share of its time, whatever a picture costs each of them."""

from __future__ import annotations

from model.serving.turns import MOST_AHEAD_S, Turns


def times(turns: Turns, costs_s: dict[str, float], until_s: float) -> dict[str, float]:
    """The seconds that each of ``costs_s`` has had, all of them always waiting, each turn as long as given."""
    had = dict.fromkeys(costs_s, 0.0)
    while sum(had.values()) < until_s:
        model, *_ = turns.order(list(costs_s))
        turns.served(model, costs_s[model])
        had[model] += costs_s[model]
    return had


def test_one_model_alone_always_has_its_turn():
    turns = Turns()

    assert times(turns, {"a": 0.1}, 10)["a"] >= 10


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
    """It never has its share, so it waits for the batch in hand only; the other saves up nothing against it."""
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


def test_who_sends_one_picture_after_the_other_has_no_more_than_who_always_has_some_waiting():
    """Its next one comes just after each turn, when it has nothing waiting: that does not wipe out what it has had."""
    turns = Turns()
    had = {"busy": 0.0, "one by one": 0.0}
    just_served = False
    for _ in range(500):
        model, *_ = turns.order(["busy"] if just_served else ["busy", "one by one"])
        cost_s = {"busy": 0.01, "one by one": 0.1}[model]
        turns.served(model, cost_s)
        had[model] += cost_s
        just_served = model == "one by one"

    assert abs(had["busy"] - had["one by one"]) < 0.21


def test_a_model_that_has_had_its_share_owes_nothing_once_the_others_have_had_theirs():
    turns = Turns()
    turns.served("a", 1.0)
    times(turns, {"b": 0.1}, 30)

    had = times(turns, {"a": 0.1, "b": 0.1}, 4)

    assert abs(had["a"] - had["b"]) < 0.21


def test_one_turn_that_took_very_long_is_paid_for_up_to_a_bound():
    """A picture that hung for a minute must not keep its model's others waiting for a minute more."""
    turns = Turns()
    turns.served("a", 60.0)
    paid_s = 0.0
    while turns.order(["a", "b"])[0] == "b":
        turns.served("b", 0.1)
        paid_s += 0.1

    assert MOST_AHEAD_S - 0.2 < paid_s < MOST_AHEAD_S + 0.2


def test_a_version_that_is_served_no_longer_is_forgotten():
    """Its seconds are no others' debt, and one that comes under the same name begins anew."""
    turns = Turns()
    turns.served("a", 1.0)
    turns.served("b", 0.5)
    assert turns.order(["a", "b"]) == ["b", "a"]
    turns.forget("a")

    assert turns.order(["a", "b"]) == ["a", "b"]

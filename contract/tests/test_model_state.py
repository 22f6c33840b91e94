"""Which version is current: what workers that begin may say of it, and who is believed after Redis has lost it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import WatchError

from contract import keys
from contract.model_changes import MOST_KEPT, Change, latest
from contract.model_state import ModelState, change, claim, read_state
from contract.model_version import ModelVersion
from contract.worker_registry import WorkerEntry, heartbeat

if TYPE_CHECKING:
    from redis import Redis

NAME = "resnet50"
FIRST, SECOND, THIRD = (ModelVersion(NAME, version) for version in "123")
WHY = Change(action="test", by="a test", words="because")
MOVED = ModelState("2", "1", 2)


def alive(redis: Redis, *versions: ModelVersion) -> None:
    for version in versions:
        heartbeat(
            redis,
            WorkerEntry(worker_id="w", host="h", model=version.key, digest="d" * 64, batch=8, service_ms=1.0),
        )


def test_the_first_worker_says_which_version_is_current(redis):
    assert claim(redis, SECOND, None) == ModelState("2", None, 1)
    assert read_state(redis, NAME) == ModelState("2", None, 1)
    assert latest(redis, NAME, 1)[0].change.by == "a worker"


def test_while_a_worker_of_the_current_version_lives_another_changes_nothing(redis):
    claim(redis, FIRST, None)
    alive(redis, FIRST)

    assert claim(redis, SECOND, None) == ModelState("1", None, 1)


def test_with_no_worker_of_it_alive_settings_say_what_is_current(redis):
    claim(redis, FIRST, None)

    assert claim(redis, SECOND, None) == MOVED


def test_a_worker_that_serves_the_current_version_is_one_of_it_though_its_heartbeats_are_late(redis):
    """On a stalled machine a round of heartbeats outlives the entries that it begins with. No name is to move then."""
    claim(redis, SECOND, None)

    assert claim(redis, FIRST, None, served={"1", "2"}) == ModelState("2", None, 1)
    assert claim(redis, FIRST, None, served={"1", "3"}) == ModelState("1", "2", 2)


def test_a_worker_writes_back_what_it_remembers(redis):
    """Redis has lost everything, or the latest changes."""
    assert claim(redis, FIRST, MOVED) == MOVED
    change(redis, NAME, MOVED, ModelState("1", None, 1), WHY)  # as a log that was cut off

    assert claim(redis, FIRST, MOVED) == MOVED


def test_a_worker_that_was_faster_after_such_a_loss_does_not_win(redis):
    """It has begun with other settings, and its version was never moved to; the next who remembers agrees."""
    remembered = claim(redis, FIRST, None)
    redis.flushall()
    others = claim(redis, THIRD, None)
    alive(redis, FIRST, THIRD)
    written = claim(redis, FIRST, remembered)

    assert (others.generation, remembered.generation) == (1, 1)
    assert written == replace(remembered, generation=2)
    assert claim(redis, FIRST, remembered) == written
    assert claim(redis, THIRD, others) == written


def test_of_two_changes_at_once_one_is_made(redis):
    state = claim(redis, FIRST, None)
    change(redis, NAME, state, state.with_current("2"), WHY)
    with pytest.raises(WatchError):
        change(redis, NAME, state, state.with_current("3"), WHY)

    assert read_state(redis, NAME) == MOVED
    assert latest(redis, NAME, 1)[0].change == WHY


@pytest.mark.parametrize(
    "garbage",
    [
        {"current": "../2"},
        {"previous": "<b>"},
        {"candidate": "x" * 100_000},
        {"candidate": "a\r\nb"},
        {"share": 101},
        {"shadow": -1},
        {"generation": "many"},
        {"generation": "-1"},
        {"generation": "9" * 4_300},
    ],
    ids=lambda garbage: str(garbage)[:40],
)
def test_what_is_no_state_of_ours_is_none_and_is_replaced(redis, garbage):
    redis.hset(keys.model(NAME), mapping={"current": "2", "generation": "2", **garbage})

    assert read_state(redis, NAME) is None
    assert claim(redis, FIRST, None) == ModelState("1", None, 1)


def test_a_candidate_that_becomes_current_is_candidate_no_longer():
    state = ModelState("1", None, 4, "2", share=10, shadow=20)

    assert state.with_current("2") == ModelState("2", "1", 5)
    assert state.with_current("3") == ModelState("3", "1", 5, "2", share=10, shadow=20)


def test_a_change_that_the_history_has_no_place_for_is_made_all_the_same(redis, caplog):
    """The state has moved by then, and whoever asked must not be told otherwise. The log has what the history lacks."""
    state = claim(redis, FIRST, None)
    for garbage in (
        lambda key: redis.set(key, "garbage"),
        lambda key: redis.xadd(key, {"a": "b"}, f"{2**64 - 1}-{2**64 - 1}"),
    ):
        redis.delete(keys.changes(NAME))
        garbage(keys.changes(NAME))
        state = change(redis, NAME, state, state.with_current("2"), WHY)
        assert read_state(redis, NAME) == state
        assert "because" in caplog.text
        caplog.clear()


def test_an_entry_of_the_history_that_cannot_be_is_none(redis):
    redis.xadd(keys.changes(NAME), {"action": "test"}, f"{2**64 - 1}-1")

    assert latest(redis, NAME, 10) == []


def test_the_history_is_bounded(redis):
    state = claim(redis, FIRST, None)
    for _ in range(MOST_KEPT + 200):
        state = change(redis, NAME, state, state.with_current("2"), replace(WHY, words="x" * 10_000))
    found = latest(redis, NAME, 10_000)

    assert MOST_KEPT <= len(found) < MOST_KEPT + 200
    assert {len(recorded.change.words) for recorded in found} == {500}

from __future__ import annotations

from dataclasses import replace

from contract import keys
from contract.roster import ALIVE_FOR_S, WorkerCard, announce, introduce, withdraw, workers_alive

CARD = WorkerCard("w1", "host-1", "resnet50", "d" * 64, generation=0, batch=8, service_ms=20.5, last_error="")


def test_a_worker_is_alive_from_its_announcement_to_its_withdrawal(redis):
    announce(redis, CARD)
    assert workers_alive(redis) == [CARD]

    withdraw(redis, CARD)
    assert workers_alive(redis) == []


def test_an_announcement_learns_how_many_are_alive(redis):
    """A worker takes its share of a short queue; who is silent for longer than the limit has none."""
    redis.zadd(keys.workers("resnet50"), {"silent": 1})
    other = replace(CARD, worker_id="w2")
    seen = [announce(redis, CARD), announce(redis, other), announce(redis, CARD)]
    withdraw(redis, other)

    assert [*seen, announce(redis, CARD)] == [1, 2, 2, 1]


def test_a_worker_that_falls_silent_counts_as_gone(redis):
    """Nobody says goodbye for a killed worker: its card runs out."""
    announce(redis, CARD)

    assert 0 < redis.ttl(keys.worker("resnet50", "w1")) <= ALIVE_FOR_S
    redis.delete(keys.worker("resnet50", "w1"))
    assert workers_alive(redis) == []


def test_the_model_introduced_last_is_the_current_one(redis):
    """Starting workers of another model moves new requests over; while none of it is alive, the other serves on."""
    other = replace(CARD, worker_id="w2", model="mobilenet")
    for card in (CARD, other):
        introduce(redis, card.model)
        announce(redis, card)
    assert workers_alive(redis) == [other]

    withdraw(redis, other)
    assert workers_alive(redis) == [CARD]


def test_a_card_that_cannot_be_read_is_passed_over(redis):
    """In a rolling upgrade another version's workers announce themselves in their own words."""
    announce(redis, CARD)
    announce(redis, replace(CARD, worker_id="w2"))
    redis.hdel(keys.worker("resnet50", "w2"), "batch")

    assert workers_alive(redis) == [CARD]


def test_announcements_alone_bring_a_worker_back_after_everything_was_lost(redis):
    """Redis without its file after a crash: nobody restarts the workers."""
    introduce(redis, CARD.model)
    redis.flushall()
    announce(redis, CARD)

    assert workers_alive(redis) == [CARD]

"""How bodies that are read at the same time share the memory for them."""

from __future__ import annotations

import pytest

from api.core.body_room import BodyRoom
from api.core.errors import Overloaded


@pytest.fixture
def room() -> BodyRoom:
    return BodyRoom(1000)


def test_what_is_announced_takes_no_room(room):
    """Sixty slow senders of small pictures in chunks were refused for bytes that they never sent."""
    with room.body("a"), room.body("b"), room.body("c") as take:
        take(400)

        assert room.taken_bytes == 400


def test_bodies_of_all_senders_share_a_bounded_memory(room):
    with room.body("a") as take_a, room.body("b") as take_b:
        take_a(500)
        take_b(500)
        with pytest.raises(Overloaded, match="as many uploads as it has room for"):
            take_b(1)


def test_one_sender_leaves_half_of_the_room_to_the_others(room):
    """A thousand slow uploads of one sender must not shut out everybody else."""
    with room.body("greedy") as first, room.body("greedy") as second, room.body("other") as other:
        first(300)
        second(200)
        with pytest.raises(Overloaded, match="from you"):
            second(1)
        other(400)


def test_a_single_body_is_read_however_large_a_request_may_be(room):
    with room.body("a") as take:
        take(10_000)


def test_a_body_gives_back_what_it_took_also_when_it_is_refused(room):
    with room.body("a") as take, room.body("b") as other:
        take(600)
        with pytest.raises(Overloaded):
            other(600)

    assert room.taken_bytes == 0

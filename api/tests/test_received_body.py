"""How fast a body has to come, and that all of it comes."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

import gevent
import pytest

from api.core.errors import BrokenForm
from api.http import received_body
from api.http.received_body import ReceivedBody
from api.http.unread_body import BROKEN

if TYPE_CHECKING:
    from typing import IO


class Dripping:
    """A body of which a piece comes every so often, for ever."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s

    def read(self, size: int) -> bytes:
        gevent.sleep(self._every_s)
        return b"x" * min(size, 10)


class Silent:
    def read(self, _size: int) -> bytes:
        gevent.sleep(3600)
        return b""


@pytest.mark.parametrize("body", [Dripping(0.02), Silent()], ids=["a byte now and then", "silence"])
def test_a_body_that_comes_too_slowly_is_given_up(monkeypatch, body):
    """A byte every five seconds kept a connection, and the memory announced, for as long as its sender liked."""
    monkeypatch.setattr(received_body, "GRACE_S", 0.1)
    received: list[int] = []
    slow_ones: list[int] = []
    slow = ReceivedBody(
        cast("IO[bytes]", body),
        {},
        size_bytes=100_000,
        least_bytes_per_s=1_000_000,
        take=received.append,
        count_received=received.append,
        count_slow=lambda: slow_ones.append(1),
    )

    with pytest.raises(BrokenForm, match="it came too slowly, at less than 1000 kB/s"):
        slow.read()
    assert slow_ones == [1]


def test_a_body_that_keeps_the_rate_may_take_as_long_as_it_needs(monkeypatch):
    monkeypatch.setattr(received_body, "GRACE_S", 0.0)
    taken: list[int] = []
    received: list[int] = []
    steady = ReceivedBody(
        cast("IO[bytes]", Dripping(0.001)),
        {},
        size_bytes=None,
        least_bytes_per_s=1,
        take=taken.append,
        count_received=received.append,
        count_slow=lambda: None,
    )

    for _ in range(50):
        assert steady.read(10) == b"x" * 10
    assert sum(taken) == sum(received) == 500


@pytest.mark.parametrize("read", [0, 1])
def test_a_body_that_ends_before_its_length_is_refused_whatever_has_come(read):
    """Its sender meant more: what has come may look whole, as JSON with a line end behind it does."""
    taken: list[int] = []
    environ: dict[str, Any] = {}
    cut = ReceivedBody(
        BytesIO(b"x" * 10 * read),
        environ,
        size_bytes=11,
        least_bytes_per_s=1,
        take=taken.append,
        count_received=lambda _size: None,
        count_slow=lambda: None,
    )

    with pytest.raises(BrokenForm, match="it ended early"):
        cut.read()
    assert sum(taken) == 10 * read
    assert BROKEN in environ

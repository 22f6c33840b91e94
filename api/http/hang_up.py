"""Noticing that a client hangs up while its request waits for an answer.

Nothing else is read from the connection meanwhile, so what makes its socket readable is either its end or the beginning
of the next request. A client that closes only its sending side looks the same, and counts as gone too.
"""

from __future__ import annotations

import _socket  # gevent has not replaced what is in here: a look must not wait, and in the hub it can't
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gevent import get_hub, getcurrent

from api.core.errors import ClientGone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READABLE = 1  # libev's EV_READ


@contextmanager
def watched(descriptor: int, count: Callable[[], None]) -> Iterator[None]:
    """While the context lasts, its greenlet is interrupted as soon as the connection's other end is gone.

    As gevent's own timeouts do it: the hub, which runs only while the greenlet waits, throws the error into it. So it
    can't come late, and nothing is polled.

    Args:
        descriptor: that of the connection's socket.
        count: called when the client has gone.

    Raises:
        ClientGone: the client has closed the connection, or its sending side of it.
    """
    waiting = getcurrent()
    event: Any = get_hub().loop.io(descriptor, READABLE)

    def look() -> None:
        event.stop()  # also if there is a next request: it stays readable, and this would run again and again
        if _ended(descriptor):
            count()
            waiting.throw(ClientGone("the client closed the connection before the answer was there"))

    event.start(look)
    try:
        yield
    finally:
        event.stop()
        event.close()


def _ended(descriptor: int) -> bool:
    """Whether nothing will ever come from the other end, by a look that takes nothing off the connection."""
    connection = _socket.socket(fileno=descriptor)
    try:
        return not connection.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:  # reset
        return True
    finally:
        connection.detach()  # it is still gunicorn's

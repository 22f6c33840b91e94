"""Noticing that a client hangs up while its request waits for an answer.

Nothing else is read from the connection meanwhile, so what makes its socket readable is either its end or the beginning
of the next request. A client that closes only its sending side looks the same as one that hangs up, and counts as gone
too.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gevent import get_hub, getcurrent

from api.core.errors import ClientGone
from api.http.sign import Sign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from api.http.sign import Watchable

READABLE = 1  # libev's EV_READ


@contextmanager
def watched(connection: Watchable, count: Callable[[], None]) -> Iterator[None]:
    """While the context lasts, its greenlet is interrupted as soon as the connection's other end is gone.

    As gevent's own timeouts do it: the hub, which runs only while the greenlet waits, throws the error into it. So it
    can't come late, and nothing is polled.

    Args:
        count: called when the client has gone.

    Raises:
        ClientGone: the client has closed the connection, or its sending side of it.
    """
    waiting = getcurrent()
    event: Any = get_hub().loop.io(connection.fileno(), READABLE)

    def look() -> None:
        sign = connection.look()
        if sign is not Sign.SILENT:
            event.stop()  # also if there is a next request: it stays readable, and this would run again and again
        if sign is Sign.GONE:
            count()
            waiting.throw(ClientGone("the client closed the connection before the answer was there"))

    event.start(look)
    try:
        yield
    finally:
        event.stop()
        event.close()

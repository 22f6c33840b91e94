"""Takes new connections; gunicorn's own server takes one at a time where there are several processes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gevent.server import StreamServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from gevent.pool import Pool

    from api.server.tls import TlsContext


class Listener(StreamServer):  # type: ignore[misc]  # gevent is not typed
    """As gunicorn makes its ``server_class``.

    Between two looks for new connections a busy process does a piece of work for each request that it has. With one
    connection a look, hundreds wait in the kernel beside a process with hundreds of requests, whatever they want.

    Args:
        handler_class: called with the socket that is listened on, a new connection and its address.
        spawn: where that runs.
        ssl_context: what connections are encrypted with, if they are.
    """

    max_accept = 4  # a look; many more would leave the other processes nothing of a burst

    def __init__(
        self,
        listener: Any,
        *,
        handler_class: Callable[..., None],
        spawn: Pool,
        ssl_context: TlsContext | None = None,
        **_of_no_use_here: Any,
    ) -> None:
        encrypted = {"ssl_context": ssl_context} if ssl_context is not None else {}
        super().__init__(listener, handle=partial(handler_class, listener), spawn=spawn, **encrypted)

"""Reading a request's body within all its bounds: the least rate, the memory for bodies, its sender's limits."""

from __future__ import annotations

from contextlib import contextmanager
from io import BytesIO
from typing import IO, TYPE_CHECKING, cast

from api.http.caller import current_caller
from api.http.limits import count_received
from api.http.received_body import READ_BYTES, ReceivedBody
from api.metrics.recorder import Metrics
from api.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from wsgiref.types import WSGIEnvironment


@contextmanager
def receiving(
    stream: IO[bytes], environ: WSGIEnvironment, size_bytes: int | None
) -> Iterator[tuple[IO[bytes], Callable[[int], None]]]:
    """Receive the current request's body while the context lasts.

    Args:
        stream: the body as Werkzeug has it, which ends at the body's end.
        size_bytes: the size announced, or None if it comes in chunks.

    Yields:
        What to read from, and what takes memory for that which is made of it, called with sizes in bytes. Both raise
        ``Overloaded`` where there is none; reading also raises what ``ReceivedBody.read`` does.
    """
    services, metrics = Services.current(), Metrics.current()
    with services.body_room.body(current_caller().sender) as take, metrics.holding_body() as hold:

        def took(size_bytes: int) -> None:
            hold(size_bytes)
            take(size_bytes)

        received = ReceivedBody(
            stream,
            environ,
            size_bytes=size_bytes,
            least_bytes_per_s=services.settings.least_upload_kb_per_s * 1000,
            take=took,
            count_received=count_received,
            count_slow=metrics.count_slow_upload,
        )
        yield cast("IO[bytes]", received), took


def whole(stream: IO[bytes], first: bytes = b"") -> bytes:
    """All of a body, of which ``first`` was read before, in one copy."""
    body = BytesIO()
    body.write(first)
    del first
    while piece := stream.read(READ_BYTES):
        body.write(piece)
    return body.getvalue()  # no copy: it is what has been written, and nobody writes to it any more

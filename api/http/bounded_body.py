"""The body of the current request, within all bounds of bodies, so that what parses it needs to know of none."""

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
def bounded_body(
    stream: IO[bytes], environ: WSGIEnvironment, content_length: int | None
) -> Iterator[tuple[IO[bytes], Callable[[int], None]]]:
    """Read a body, and what is made of it, while the context lasts.

    Args:
        stream: the body as Werkzeug has it, which ends at the body's end.
        content_length: the size announced, or None if it comes in chunks.

    Yields:
        The body, whose ``read`` raises as ``ReceivedBody.read`` does; and what takes memory for what is made of it, to
        be called with the size in bytes, which raises ``Overloaded``.
    """
    services, metrics = Services.current(), Metrics.current()
    with services.body_room.body(current_caller().sender) as take, metrics.holding_body() as hold:

        def took(size_bytes: int) -> None:
            hold(size_bytes)
            take(size_bytes)

        received = ReceivedBody(
            stream,
            environ,
            size_bytes=content_length,
            least_bytes_per_s=services.settings.least_upload_kb_per_s * 1000,
            take=took,
            count_received=count_received,
            count_slow=metrics.count_slow_upload,
        )
        yield cast("IO[bytes]", received), took


def whole(stream: IO[bytes], first: bytes = b"") -> bytes:
    """All of a body, in one copy; ``first`` is what of it was read already."""
    body = BytesIO()
    body.write(first)
    del first
    while piece := stream.read(READ_BYTES):
        body.write(piece)
    return body.getvalue()  # no copy: it is what has been written, and nobody writes to it any more

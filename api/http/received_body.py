"""A request's body as it comes: at a least rate, within the memory that there is, and only as HTTP has it."""

from __future__ import annotations

import time
from functools import partial
from typing import IO, TYPE_CHECKING

from gevent import Timeout
from gunicorn.http.errors import NoMoreData, ParseException
from werkzeug.exceptions import ClientDisconnected

from api.core.errors import BrokenForm
from api.http.linger import stop_reading
from api.http.unread_body import BROKEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIEnvironment

READ_BYTES = 64 * 1024  # what each body that is being read has at least; gunicorn collects as much before it gives any
GRACE_S = 10.0  # a slow line may take a while before anything comes
SHORTEST_S = 0.001
ENDED_EARLY = "the form can't be read: its chunks are broken, or it ended early"


class ReceivedBody:
    """What a form is read from.

    Args:
        stream: the body as Werkzeug has it, which ends at the body's end.
        size_bytes: the size announced, or None if it comes in chunks.
        least_bytes_per_s: the least rate, on the whole, after ``GRACE_S`` seconds.
        take: called with the size of each piece before it is read, and with what of it did not come.
        count_received: called with the size of each piece that has come.
        count_slow: called if it comes too slowly.
    """

    def __init__(
        self,
        stream: IO[bytes],
        environ: WSGIEnvironment,
        *,
        size_bytes: int | None,
        least_bytes_per_s: int,
        take: Callable[[int], None],
        count_received: Callable[[int], None],
        count_slow: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._environ = environ
        self._size_bytes = size_bytes
        self._least_bytes_per_s = least_bytes_per_s
        self._take = take
        self._count_received = count_received
        self._count_slow = count_slow
        self._received = 0
        self._started = time.monotonic()

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size``, or all; none at the end.

        Raises:
            BrokenForm: they come too slowly, or are not a body as HTTP has it.
            Overloaded: there is no memory for them.
            OverLimit: with them the sender has sent more than he may.
            RequestEntityTooLarge: Werkzeug's.
        """
        if size < 0:
            return b"".join(iter(partial(self.read, READ_BYTES), b""))
        if self._size_bytes is not None:
            size = min(size, self._size_bytes - self._received)
            if not size:
                return b""
        self._take(size)
        try:
            with Timeout(self._time_for(size), TooSlow):
                data = self._stream.read(size)
        except TooSlow as error:
            self._count_slow()
            if "gunicorn.socket" in self._environ:
                stop_reading(self._environ["gunicorn.socket"])
            least = self._least_bytes_per_s // 1000
            raise BrokenForm(f"the form can't be read: it came too slowly, at less than {least} kB/s") from error
        except (ParseException, NoMoreData, ClientDisconnected) as error:
            self._environ[BROKEN] = True
            raise BrokenForm(ENDED_EARLY) from error
        if not data and self._size_bytes is not None:  # gunicorn says no more of a length that was not kept
            self._take(-size)
            self._environ[BROKEN] = True
            raise BrokenForm(ENDED_EARLY)
        self._received += len(data)
        if len(data) < size:
            self._take(len(data) - size)
        self._count_received(len(data))
        return data

    def _time_for(self, size: int) -> float:
        """How long the next ``size`` bytes may take, in seconds: what the rate allows them and those before them."""
        by = self._started + GRACE_S + (self._received + size) / self._least_bytes_per_s
        return max(SHORTEST_S, by - time.monotonic())


class TooSlow(BaseException):  # not an Exception: no library on the way may take it for a fault of its own
    """The body came too slowly."""

"""Requests at a fixed rate, whatever becomes of those before."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from stress_test.traffic.fates import Sent

MOST_AT_ONCE = 600  # more than the rate times the longest wait


class OpenLoop:
    """Sends while the context lasts; leaving it waits for the last request's end.

    Args:
        send: sends the request of a number and waits for its end.
        rate: requests per second.
        numbers: the requests' numbers, each used once.
    """

    def __init__(self, send: Callable[[int], Sent], rate: float, numbers: itertools.count[int]) -> None:
        self._send, self._rate, self._numbers = send, rate, numbers
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE)
        self._pending: list[Future[Sent]] = []
        self._began_s: list[float] = []
        self._over = threading.Event()
        self._pacer = threading.Thread(target=self._pace)

    def __enter__(self) -> Self:
        self._pacer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pacer.join()
        wait(self._pending)
        self._threads.shutdown()

    def burst(self, requests: int) -> None:
        """Send so many at once, beside the others."""
        for _ in range(requests):
            self._submit()

    def ended(self) -> list[Sent]:
        """The requests that have ended, in the order in which they were sent."""
        return [future.result() for future in list(self._pending) if future.done()]

    def oldest_open_s(self) -> float:
        """When the oldest request that has not ended was sent, of ``time.monotonic``; now if there is none."""
        began = zip(self._began_s, list(self._pending), strict=False)
        return next((began_s for began_s, future in began if not future.done()), time.monotonic())

    def _pace(self) -> None:
        began = time.monotonic()
        for number in itertools.count(1):
            self._submit()
            if self._over.wait(max(0.0, began + number / self._rate - time.monotonic())):
                return

    def _submit(self) -> None:
        self._began_s.append(time.monotonic())
        self._pending.append(self._threads.submit(self._send, next(self._numbers)))


def capacity(send: Callable[[int], Sent], numbers: itertools.count[int], seconds: float, at_once: int = 24) -> float:
    """Requests per second that come to their end when ``at_once`` senders each wait for theirs."""
    until = time.monotonic() + seconds

    def one_after_the_other(_: int) -> int:
        done = 0
        while time.monotonic() < until:
            send(next(numbers))
            done += 1
        return done

    began = time.monotonic()
    with ThreadPoolExecutor(at_once) as threads:
        done = sum(threads.map(one_after_the_other, range(at_once)))
    return done / (time.monotonic() - began)

"""Threads of the system's, for calls that block in native code: called in a greenlet they would stop all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool
from gevent.util import wrap_errors

from contract.errors import BackendDown

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")

THREADS = 24  # in which others wait for the store: 24 puts of 30 ms each are 800 a second
FREE_WITHIN_S = 1.0  # after that the store hangs or is slow: who waits longer only waits to be refused


class NativeThreads:
    """A bounded number of them, apart from gevent's own, which also looks up names: those have to go on.

    One per process, made in it, and used by its greenlets.
    """

    def __init__(self, most: int = THREADS) -> None:
        self._pool = ThreadPool(most)
        self._free = BoundedSemaphore(most)

    def run(self, function: Callable[[], Found], /) -> Found:
        """Call ``function`` in a thread; only this greenlet waits for it.

        Raises:
            BackendDown: every thread is taken, and none got free in time.
            Exception: what ``function`` raises.
        """
        if not self._free.acquire(timeout=FREE_WITHIN_S):
            raise BackendDown("the store of pictures is too slow at the moment; please try again")
        try:
            call = self._pool.spawn(wrap_errors(Exception, function))  # gevent would log what a thread raises
        except BaseException:
            self._free.release()
            raise
        call.rawlink(lambda _: self._free.release())  # the thread is taken until then, whoever has stopped waiting
        ended: Any = call.get()
        if isinstance(ended, Exception):
            raise ended
        found: Found = ended
        return found

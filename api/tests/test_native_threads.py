from __future__ import annotations

import threading

import gevent
import pytest
from gevent import get_hub, socket

from api.core.native_threads import NativeThreads
from contract.errors import BackendDown


def test_a_call_is_made_in_a_thread_of_its_own_and_its_error_comes_back():
    threads = NativeThreads(1)

    def fail() -> None:
        raise KeyError("ours")

    assert threads.run(threading.get_native_id) != threading.get_native_id()
    with pytest.raises(KeyError, match="ours"):
        threads.run(fail)
    assert threads.run(lambda: "goes on") == "goes on"


def test_calls_that_hang_stop_nothing_but_themselves_and_what_is_too_much_is_refused():
    """A store that hangs must not keep a process from saying that it lives, nor from looking up Redis' address."""
    threads, released = NativeThreads(2), threading.Event()
    hanging = [gevent.spawn(threads.run, lambda: released.wait(60)) for _ in range(2)]
    gevent.sleep(0)

    with pytest.raises(BackendDown, match="too slow"):
        threads.run(lambda: None)
    assert get_hub().threadpool.apply(lambda: "gevent's own threads") == "gevent's own threads"
    assert socket.getaddrinfo("localhost", 6379)

    released.set()
    assert [call.get(timeout=60) for call in hanging] == [True, True]
    assert threads.run(lambda: "goes on") == "goes on"


def test_a_thread_stays_taken_until_its_call_has_ended_although_nobody_waits_for_it_any_more():
    """Else requests that were broken off would pile up calls behind a store that hangs."""
    threads, released = NativeThreads(1), threading.Event()
    hanging = gevent.spawn(threads.run, lambda: released.wait(60))
    gevent.sleep(0)
    hanging.kill()

    with pytest.raises(BackendDown):
        threads.run(lambda: None)

    released.set()
    gevent.sleep(0.1)
    assert threads.run(lambda: "goes on") == "goes on"

"""New connections beside a process that is busy with those it has."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import gevent
from gevent import socket as gevent_socket
from gevent.pool import Pool

from api.server.listener import Listener

BURST = 20
AT_THE_LATEST_S = 30


def test_a_burst_of_connections_is_taken_in_a_few_looks():
    """Between two looks a process does a piece of work for each request that it has."""
    taken: list[tuple[object, ...]] = []
    with ExitStack() as stack:
        listening = stack.enter_context(gevent_socket.socket())  # as gunicorn makes it; it does not block
        listening.bind(("127.0.0.1", 0))
        listening.listen(BURST)
        server = Listener(listening, handler_class=lambda *connection: taken.append(connection), spawn=Pool())
        clients = [
            stack.enter_context(socket.create_connection(listening.getsockname(), AT_THE_LATEST_S))
            for _ in range(BURST)
        ]
        stack.callback(server.stop)
        looks_before = gevent.get_hub().loop.iteration
        server.start()
        with gevent.Timeout(AT_THE_LATEST_S):
            while len(taken) < BURST:
                gevent.sleep(0.001)
        looks = gevent.get_hub().loop.iteration - looks_before
        addresses = {client.getsockname() for client in clients}

    assert looks < BURST
    assert {(listener, address) for listener, _, address in taken} == {(listening, address) for address in addresses}

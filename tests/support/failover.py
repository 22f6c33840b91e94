"""A primary and its replica behind one name, as a database service or an operator of Kubernetes has them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, suppress
from threading import Thread
from typing import TYPE_CHECKING, Self

from redis import Redis

from contract.redis_address import with_password
from contract.redis_users import API, OPERATOR, WORKER
from tests.support.server import Server, password_of
from tests.support.stack import free_port
from tests.support.workers import WAIT_S, eventually

if TYPE_CHECKING:
    from pathlib import Path


class OneName:
    """Leads each new connection to ``port``; those that there are stay where they are, as with a name in DNS."""

    def __init__(self, port: int) -> None:
        self.leads_to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._forward, sock=self._listener)
        asyncio.run_coroutine_threadsafe(starting, self._loop).result(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(WAIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()
        self._listener.close()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.leads_to)
            await asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


class Failover:
    """Two servers of ``binary`` while the context lasts; the second replicates the first.

    Attributes:
        api_url, worker_url, operator_url: as ``Server`` has them, of the one name.
        first, second: the servers themselves.
    """

    def __init__(self, binary: str, folder: Path) -> None:
        self._parts = ExitStack()
        self.first, self.second = (Server(binary, _made(folder / name), port=free_port()) for name in ("a", "b"))
        self._name = OneName(self.first.port)
        self.api_url, self.worker_url, self.operator_url = map(self._url_of, (API, WORKER, OPERATOR))

    def __enter__(self) -> Self:
        for part in (self.first, self.second, self._name):
            self._parts.enter_context(part)
        with self._at(self.first) as first, self._at(self.second) as second:
            first.config_set("repl-diskless-sync-delay", 0)
            second.config_set("repl-diskless-sync-delay", 0)
            self._follow(second, self.first)
            eventually(lambda: second.info("replication").get("master_link_status") == "up", "the replica follows")
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def catch_up(self) -> None:
        """The replica has everything that was written so far."""
        with self._at(self.first) as first:
            assert first.wait(1, int(WAIT_S * 1000)) == 1

    def promote(self) -> None:
        """The replica takes writes, and the other one follows it; the name still leads to that."""
        with self._at(self.first) as first, self._at(self.second) as second:
            second.replicaof("NO", "ONE")
            self._follow(first, self.second)

    def switch(self) -> None:
        """The name leads new connections to the new primary."""
        self._name.leads_to = self.second.port

    def _at(self, server: Server) -> Redis:
        return Redis.from_url(server.operator_url)

    def _follow(self, client: Redis, other: Server) -> None:
        client.config_set("masteruser", OPERATOR)
        client.config_set("masterauth", password_of(OPERATOR))
        client.replicaof("127.0.0.1", other.port)

    def _url_of(self, user: str) -> str:
        return with_password(f"redis://{user}@127.0.0.1:{self._name.port}/0", password_of(user))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder

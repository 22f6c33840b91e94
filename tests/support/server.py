"""A real Redis-compatible server for tests: on a Unix socket, with an append-only file and our users, restartable."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from redis import Redis
from redis.exceptions import RedisError

from contract.redis_address import with_password
from contract.redis_users import API, OPERATOR, WORKER, password_hash, users_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_WITHIN_S = 30


class Server:
    """Runs ``binary`` while the context lasts.

    Attributes:
        api_url, worker_url: its address for what stands for a side of the service: as in operation, each may do what
            contract/redis_users.py says.
        operator_url: its address for the test itself, which looks into every key.
    """

    def __init__(self, binary: str, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        self._socket_folder = tempfile.TemporaryDirectory(prefix="test-")  # socket paths must be short
        self._socket = f"{self._socket_folder.name}/server.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.api_url, self.worker_url, self.operator_url = map(self.url_of, (API, WORKER, OPERATOR))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._socket_folder.cleanup()

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", self._socket, "--dir", str(self._folder)]
        persistence = ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
        users = self._folder / "users.acl"
        users.write_text(users_file({user: password_hash(password_of(user)) for user in (API, WORKER, OPERATOR)}))
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, *options, *persistence, "--aclfile", str(users)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_WITHIN_S
        while True:
            try:
                with Redis.from_url(self.operator_url) as client:
                    client.ping()
            except RedisError:
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.02)
            else:
                return

    def url_of(self, user: str, password: str | None = None) -> str:
        """Its address for a user, with the right password or with another."""
        return with_password(f"unix://{user}@{self._socket}", password_of(user) if password is None else password)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The server hangs: it keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(START_WITHIN_S)


def password_of(user: str) -> str:
    """One that an address can't hold as it is."""
    return f"{user}'s p@ss/word"

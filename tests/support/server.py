"""A real Redis-compatible server for tests: on a Unix socket, with an append-only file and our users, restartable."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from redis import Redis
from redis.exceptions import RedisError

from contract.redis_address import with_password
from contract.redis_users import API, OPERATOR, WORKER, password_hash, users_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_WITHIN_S = 30


class Server:
    """Runs ``binary`` while the context lasts; with ``has_users`` false for everybody, as version 0.1 did.

    It also listens on ``port`` of 127.0.0.1 if that is not 0.

    Attributes:
        api_url, worker_url: its address for what stands for a side of the service: as in operation, each may do what
            contract/redis_users.py says.
        operator_url: its address for the test itself, which looks into every key.
    """

    def __init__(self, binary: str, folder: Path, *, has_users: bool = True, port: int = 0) -> None:
        self._binary = binary
        self._has_users = has_users
        self.port = port
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
        options = ["--port", str(self.port), "--unixsocket", self._socket, "--dir", str(self._folder)]
        persistence = ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
        users = []
        if self._has_users:
            file = self._folder / "users.acl"
            file.write_text(users_file({user: password_hash(password_of(user)) for user in (API, WORKER, OPERATOR)}))
            users = ["--aclfile", str(file)]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen([self._binary, *options, *persistence, *users], stdout=log, stderr=log)
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
        if not self._has_users:
            return f"unix://{self._socket}"
        return with_password(f"unix://{user}@{self._socket}", password_of(user) if password is None else password)

    def refused(self) -> list[dict[str, Any]]:
        """What it has not let the service's two sides do since its start."""
        with Redis.from_url(self.operator_url) as client:
            entries: Any = client.acl_log()
        sides = {API, WORKER}
        return [entry for entry in entries if entry["username"] in sides and entry["reason"] != "auth"]

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

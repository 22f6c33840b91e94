"""A real Redis-compatible server for tests: on a Unix socket, with an append-only file, restartable."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from redis import Redis
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_WITHIN_S = 30


class Server:
    """Runs ``binary`` while the context lasts; ``url`` is its address."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        self._socket_folder = tempfile.TemporaryDirectory(prefix="test-")  # socket paths must be short
        self._socket = f"{self._socket_folder.name}/server.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._socket_folder.cleanup()

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", self._socket, "--dir", str(self._folder)]
        persistence = ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen([self._binary, *options, *persistence], stdout=log, stderr=log)
        deadline = time.monotonic() + START_WITHIN_S
        while True:
            try:
                with Redis.from_url(self.url) as client:
                    client.ping()
            except RedisError:
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.02)
            else:
                return

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

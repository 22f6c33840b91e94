"""Programs of ours in processes of their own, as ``subprocess`` starts them, but forked by a ``fork_server``."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from tests.support.fork_server import STATUS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

ROOT = Path(__file__).parents[2]


class ForkedProgram:
    """``python -m module *arguments`` in the project's folder, with what it prints in these files."""

    def __init__(
        self, module: str, *arguments: str, environment: Mapping[str, str], stdout: IO[bytes], stderr: IO[bytes]
    ) -> None:
        request = {"arguments": arguments, "environment": dict(environment), "folder": str(ROOT)}
        self._status, told = os.pipe()
        with Path(os.devnull).open("rb") as stdin:
            streams = [stdin.fileno(), stdout.fileno(), stderr.fileno(), told]
            socket.send_fds(_control(module), [json.dumps(request).encode()], streams)
        os.close(told)
        self.pid = self._read()
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        if self._code is None and select.select([self._status], [], [], 0)[0]:
            self._end()
        return self._code

    def wait(self, timeout_s: float | None = None) -> int:
        """The exit code, once it has ended.

        Raises:
            TimeoutError: it still runs.
        """
        if self._code is None:
            if not select.select([self._status], [], [], timeout_s)[0]:
                raise TimeoutError
            self._end()
        assert self._code is not None
        return self._code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _end(self) -> None:
        self._code = self._read()
        os.close(self._status)

    def _read(self) -> int:
        number: int
        (number,) = STATUS.unpack(os.read(self._status, STATUS.size))
        return number


def run(
    module: str, *arguments: str, environment: Mapping[str, str], within_s: float
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, with what it prints.

    Raises:
        TimeoutError: it did not end, and was killed.
    """
    with TemporaryFile() as stdout, TemporaryFile() as stderr:
        program = ForkedProgram(module, *arguments, environment=environment, stdout=stdout, stderr=stderr)
        try:
            code = program.wait(within_s)
        finally:
            program.kill()
        for printed in (stdout, stderr):
            printed.seek(0)
        return subprocess.CompletedProcess([module, *arguments], code, stdout.read().decode(), stderr.read().decode())


@cache
def _control(module: str) -> socket.socket:
    """To a server for this module, which ends with us."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server", module],
            cwd=ROOT, stdin=its.fileno(), stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours

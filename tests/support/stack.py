"""``python -m local``, as a person runs it, for tests that use it over HTTP."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import psutil
from dotenv import dotenv_values

from local.queue_users import operator_url
from stress_test.environment import environment_with

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 180.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """The service's processes while the context lasts; leaving it is a Ctrl-C."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.port = free_port()
        scheme = "https" if environment.get("TLS_CERT_FILE") else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.data_dir = data_dir
        own = {"PORT": str(self.port), "DATA_DIR": str(data_dir), "WORKERS": "2"}
        unset = dict.fromkeys(dotenv_values(ROOT / ".env"), "")  # a developer's, which ``python -m local`` would read
        self.environment = environment_with(**unset | own | environment)

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        killer = threading.Timer(READY_WITHIN_S, self.process.kill)  # if it hangs, this ends the reading below
        killer.start()
        self.printed = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed += line
            if line.startswith("Logs:"):
                break
        killer.cancel()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        assert self.process.stdout is not None
        self.printed += self.process.stdout.read()
        self.process.stdout.close()
        self.process.wait(READY_WITHIN_S)

    @property
    def operator_url(self) -> str:
        """Of Redis, as its user who may see and change everything."""
        (api, *_) = self.parts("gunicorn")
        return operator_url(self.data_dir / "queue", Path(urlsplit(api.environ()["REDIS_URL"]).path))

    def parts(self, words: str) -> list[psutil.Process]:
        """The running processes of this stack whose command line contains ``words``."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if child.is_running() and words in " ".join(child.cmdline())]

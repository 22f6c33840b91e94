"""The peer: LitServe, in a virtual environment that the tests and the service never use."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stress_test.errors import CannotMeasure
from stress_test.load import ROOT
from stress_test.service import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK = Path(__file__).parents[1] / "requirements-bench.txt"
INSTALLED_WITHIN_S = 600
READY_WITHIN_S = 60.0
LOOK_EVERY_S = 0.2
SETTLE_S = 1.0  # so that it finishes what its last turn left in its queue before it is stopped


def version() -> str:
    """The peer's name and version, as locked."""
    pinned = next(line for line in LOCK.read_text().splitlines() if line.startswith("litserve=="))
    return pinned.split()[0].replace("==", " ").replace("litserve", "LitServe")


def environment(cache: Path) -> Path:
    """The Python of the peer's environment, which is made in ``cache`` if it is missing.

    Raises:
        CannotMeasure: it can't be made; the message is pip's last line.
    """
    folder = cache / f"bench-env-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if complete.exists():
        return python
    print(f"Making an environment for {version()} in {folder} ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)  # what a stopped run left
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(LOCK)]
    for command in ([sys.executable, "-m", "venv", str(folder)], install):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALLED_WITHIN_S)
        except subprocess.CalledProcessError as error:
            lines = (error.stderr or "").strip().splitlines()
            raise CannotMeasure(f"{version()} can't be installed: {lines[-1] if lines else error}") from error
        except subprocess.TimeoutExpired as error:
            raise CannotMeasure(f"{version()} was not installed within {INSTALLED_WITHIN_S} s") from error
    complete.touch()
    return python


class Peer:
    """LitServe, stopped (SIGSTOP) between its turns: it polls, which would take time from the others."""

    def __init__(self, url: str, group: int) -> None:
        self.url = url
        self._group = group

    @contextmanager
    def awake(self) -> Iterator[None]:
        os.killpg(self._group, signal.SIGCONT)
        try:
            yield
            time.sleep(SETTLE_S)
        finally:
            os.killpg(self._group, signal.SIGSTOP)


@contextmanager
def running_peer(python: Path, model: Path, workers: int, log: Path) -> Iterator[Peer]:
    """Run the peer while the context lasts.

    Raises:
        CannotMeasure: it did not start.
    """
    port = free_port()
    command = [str(python), "-m", "stress_test.capacity.litserve_server", str(model), str(port), str(workers)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}/health")
        peer = Peer(f"http://127.0.0.1:{port}/predict", process.pid)
        with peer.awake():
            pass
        yield peer
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it keeps nothing, and SIGTERM leaves its workers behind
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], health: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=5):  # noqa: S310  # our own http URL
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(LOOK_EVERY_S)
    raise CannotMeasure(f"{version()} was not ready within {READY_WITHIN_S:.0f} s")

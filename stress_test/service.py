"""The service under test: ``python -m local`` with a port and a data folder of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stress_test.environment import environment_with
from stress_test.errors import CannotMeasure
from stress_test.load import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY_WITHIN_S = 150.0
STOP_WITHIN_S = 60.0
QUEUE_EMPTY_WITHIN_S = 60.0
LOOK_EVERY_S = 0.1


@contextmanager
def running_service(workers: int, model_path: Path | None, folder: Path, **settings: str) -> Iterator[str]:
    """Run the service on loopback while the context lasts; yields its URL.

    Args:
        model_path: None if ``settings`` name the models.
        folder: for its data, absolute; not to be there yet.
        settings: of the service, as in ``RESULT_CACHE="off"``; all others are at their defaults, whatever the
            environment and a file .env say.

    Raises:
        CannotMeasure: it did not start; the message is its own.
    """
    folder.mkdir()
    port = free_port()
    own = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WORKERS": str(workers),
        "DATA_DIR": str(folder / "data"),
        "MODEL_PATH": str(model_path.resolve()) if model_path is not None else "",
        "PYTHONPATH": str(ROOT),
    }
    output = folder / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=folder,  # not the project's, where a developer's .env may be
            env=environment_with(**settings, **own),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only the parent, which then stops this in order
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(process, url, workers, output)
        yield url
    finally:
        process.terminate()
        process.wait(STOP_WITHIN_S)


def wait_for_empty_queue(url: str) -> None:
    """Wait until no picture of users who have left is in the queue.

    Raises:
        CannotMeasure: the queue does not become empty.
    """
    deadline = time.monotonic() + QUEUE_EMPTY_WITHIN_S
    while health(url).get("queued") != 0:
        if time.monotonic() > deadline:
            raise CannotMeasure(f"the queue was not empty within {QUEUE_EMPTY_WITHIN_S:.0f} s")
        time.sleep(LOOK_EVERY_S)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, workers: int, output: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while health(url).get("workers") != workers:
        if process.poll() is not None:
            lines = output.read_text(errors="replace").strip().splitlines()
            raise CannotMeasure(lines[-1] if lines else f"the service ended with code {process.returncode}")
        if time.monotonic() > deadline:
            raise CannotMeasure(f"the service was not ready within {READY_WITHIN_S:.0f} s")
        time.sleep(LOOK_EVERY_S)


def health(url: str) -> dict[str, Any]:
    """The answer of ``/health``; empty if there is none."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as response:  # noqa: S310  # our own http URL
            health: dict[str, Any] = json.load(response)
            return health
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return {}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

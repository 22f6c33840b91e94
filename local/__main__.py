"""``python -m local`` (``make run``): the whole service on this machine until Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from contract.settings import load_settings
from local.parts import plan
from local.preflight import CannotStart, check
from local.settings import Settings
from local.supervisor import PartDied, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

READY_WITHIN_S = 120.0
LOOK_EVERY_S = 0.1


class StopAsked(Exception):
    """SIGINT or SIGTERM came."""


def main() -> int:
    _inherit_dotenv(Path(".env"))
    settings = load_settings(Settings)
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, _raise_stop)
    logs = settings.data_dir / "logs"
    try:
        check(settings)
        logs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="classifier-") as folder:
            return _run(settings, Supervisor(logs, os.environ), Path(folder) / "valkey.sock")
    except CannotStart as error:
        print(f"Can't start: {error}", file=sys.stderr)
        return 1
    except StopAsked:
        return 0


def _run(settings: Settings, supervisor: Supervisor, socket_path: Path) -> int:
    started = time.monotonic()
    print(f"Starting Valkey, {settings.workers} worker(s) and the API ...", flush=True)
    try:
        for part in plan(settings, socket_path):
            supervisor.start(part)
            if part.name == "valkey":
                _wait_for(supervisor, socket_path.exists)
        _wait_for(supervisor, lambda: _workers_ready(settings) == settings.workers)
        _greet(settings, time.monotonic() - started)
        while True:
            supervisor.restart_dead()
            time.sleep(LOOK_EVERY_S)
    except PartDied as error:
        print(f"Can't start: {error} (logs: {settings.data_dir / 'logs'})", file=sys.stderr)
        return 1
    except StopAsked:
        print("Stopping ...", flush=True)
        return 0
    finally:
        for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signal_number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
        supervisor.stop()


def _wait_for(supervisor: Supervisor, condition: Callable[[], bool]) -> None:
    """Wait until ``condition()`` holds.

    Raises:
        PartDied: a part ended meanwhile, or it did not come true in time.
    """
    deadline = time.monotonic() + READY_WITHIN_S
    while not condition():
        supervisor.check()
        if time.monotonic() > deadline:
            raise PartDied(f"the service was not ready within {READY_WITHIN_S:.0f} s")
        time.sleep(LOOK_EVERY_S)


def _workers_ready(settings: Settings) -> int:
    try:
        with urllib.request.urlopen(f"{_url(settings)}/health", timeout=5) as response:  # noqa: S310  # our own http URL
            return int(json.load(response)["workers"])
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return 0


def _greet(settings: Settings, elapsed_s: float) -> None:
    url = _url(settings)
    print(f"\nReady in {elapsed_s:.1f} s. Open {url} and drop a picture, or try:\n")
    print(f"    curl -F file=@tests/pictures/chelsea.jpg {url}/predict\n")
    print(f"Logs: {settings.data_dir / 'logs'}    Ctrl-C stops everything.", flush=True)


def _url(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104  # compared, not bound
    return f"http://{host}:{settings.port}"


def _inherit_dotenv(path: Path) -> None:
    """Take settings from ``path`` that the environment does not have."""
    for name, value in dotenv_values(path).items():
        if value is not None:
            os.environ.setdefault(name, value)


def _raise_stop(_signal: int, _frame: FrameType | None) -> None:
    raise StopAsked


if __name__ == "__main__":
    sys.exit(main())

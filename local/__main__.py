"""``python -m local`` (``make run``): the whole service on this machine until Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import dotenv_values
from redis.exceptions import RedisError

from contract.redis_clients import connect
from contract.settings import load_settings
from local.folder import locked, socket_path
from local.parts import plan
from local.preflight import CannotStart, check
from local.settings import Settings
from local.supervisor import PartDied, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from local.parts import Part

READY_WITHIN_S = 120.0
LOOK_EVERY_S = 0.1
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # our own API is reached without a proxy


class StopAsked(Exception):
    """SIGINT or SIGTERM was received."""


def main() -> int:
    _inherit_dotenv(Path(".env"))
    settings = load_settings(Settings)
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, _raise_stop)
    try:
        check(settings)
        with locked(settings) as lock, socket_path(settings) as path:
            return _run(settings, Supervisor(settings.logs_dir, os.environ), plan(settings, path, lock), path)
    except CannotStart as error:
        print(f"Can't start: {error}", file=sys.stderr)
        return 1
    except StopAsked:
        return 0


def _run(settings: Settings, supervisor: Supervisor, parts: Sequence[Part], socket: Path) -> int:
    started = time.monotonic()
    print(f"Starting Valkey, {settings.workers} worker(s) and the API ...", flush=True)
    try:
        for part in parts:
            supervisor.start(part)
            if part.name == "valkey":
                _wait_for(supervisor, lambda: _answers(socket))
        _wait_for(supervisor, lambda: _workers_ready(settings) >= settings.workers)
        _greet(settings, time.monotonic() - started)
        while True:
            supervisor.restart_dead()
            time.sleep(LOOK_EVERY_S)
    except PartDied as error:
        print(f"Can't start: {error} (logs: {settings.logs_dir})", file=sys.stderr)
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
        PartDied: a process ended meanwhile, or the condition did not hold within ``READY_WITHIN_S`` seconds.
    """
    deadline = time.monotonic() + READY_WITHIN_S
    while not condition():
        supervisor.check()
        if time.monotonic() > deadline:
            raise PartDied(f"the service was not ready within {READY_WITHIN_S:.0f} s")
        time.sleep(LOOK_EVERY_S)


def _answers(socket: Path) -> bool:
    """Whether Valkey serves; while it is still reading a long log its socket exists, but it refuses every command."""
    try:
        with connect(f"unix://{socket}") as client:
            return bool(client.ping())
    except RedisError:
        return False


def _workers_ready(settings: Settings) -> int:
    try:
        with HTTP.open(f"{_url(settings)}/health", timeout=5) as response:
            return int(json.load(response)["workers"])
    except (OSError, HTTPException, ValueError):
        return 0


def _greet(settings: Settings, elapsed_s: float) -> None:
    url = _url(settings)
    print(f"\nReady in {elapsed_s:.1f} s. Open {url} and drop a picture, or try:\n")
    print(f"    curl -F file=@tests/pictures/chelsea.jpg {url}/predict\n")
    print(f"Logs: {settings.logs_dir}    Ctrl-C stops everything.", flush=True)


def _url(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host  # noqa: S104  # compared, not bound
    return f"http://{host}:{settings.port}"


def _inherit_dotenv(path: Path) -> None:
    """Take those settings from ``path`` that are not in the environment."""
    for name, value in dotenv_values(path).items():
        if value is not None:
            os.environ.setdefault(name, value)


def _raise_stop(_signal: int, _frame: FrameType | None) -> None:
    raise StopAsked


if __name__ == "__main__":
    sys.exit(main())

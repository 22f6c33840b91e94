"""``python -m local`` (``make run``): the whole service on this machine until Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import ssl
import sys
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.private_files import UMASK
from contract.settings import EXIT_BAD_SETTINGS, load_settings
from local.at_rest import in_use
from local.dotenv_file import inherit
from local.folder import locked, socket_path
from local.log_files import LogFiles
from local.parts import plan
from local.preflight import CannotStart, check
from local.queue_log import advice
from local.queue_users import QueueUsers
from local.ready import LOOK_EVERY_S, answers, wait_for
from local.settings import Settings
from local.supervisor import PartDied, Supervisor
from local.unknown_settings import remarks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from local.parts import Part

# Our own API is reached without a proxy. It is asked on this machine whether it answers, and told no secret, so its
# certificate, which is made for another name, is not checked.
UNCHECKED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
UNCHECKED.check_hostname = False
UNCHECKED.verify_mode = ssl.CERT_NONE
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=UNCHECKED))


class StopAsked(Exception):
    """SIGINT or SIGTERM was received."""


def main() -> int:
    in_file = inherit(Path(".env"))
    for remark in remarks(sorted(in_file), sorted(os.environ.keys() - in_file)):
        print(remark, file=sys.stderr)
    os.umask(UMASK)
    settings = load_settings(Settings)
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, _raise_stop)
    try:
        check(settings)
        with in_use(), locked(settings) as lock, socket_path(settings) as path:
            return _run(settings, plan(settings, path, lock, _queue_users(settings), os.environ), path)
    except CannotStart as error:
        print(f"Can't start: {error}", file=sys.stderr)
        return 1
    except StopAsked:
        return 0


def _run(settings: Settings, parts: Sequence[Part], socket: Path) -> int:
    started = time.monotonic()
    logs = LogFiles(settings.logs_dir, settings.log_mb * 1_000_000, len(parts))
    supervisor = Supervisor(logs)
    logs.clear()
    print(f"Starting Valkey, {settings.workers} worker(s) and the API, {_for_whom(settings)} ...", flush=True)
    try:
        for part in parts:
            supervisor.start(part)
            if part.name == "valkey":
                wait_for(supervisor, lambda: answers(socket))
        wait_for(
            supervisor,
            lambda: _health(settings).get("workers", 0) >= settings.workers,
            lambda: _health(settings).get("reason", ""),
        )
        _greet(settings, time.monotonic() - started)
        while True:
            supervisor.restart_dead()
            time.sleep(LOOK_EVERY_S)
    except PartDied as error:
        if error.code == EXIT_BAD_SETTINGS:  # in the words in which every process says it
            print(error.last_line, file=sys.stderr)
            return EXIT_BAD_SETTINGS
        what = advice(settings, logs.read("valkey")) or f"{error} (logs: {settings.logs_dir})"
        print(f"Can't start: {what}", file=sys.stderr)
        return 1
    except StopAsked:
        print("Stopping ...", flush=True)
        return 0
    finally:
        for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signal_number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
        supervisor.stop()


def _queue_users(settings: Settings) -> QueueUsers:
    try:
        return QueueUsers.make(settings)
    except OSError as error:
        raise CannotStart(f"{error.filename} can't be written: {error.strerror}") from error


def _health(settings: Settings) -> dict[str, Any]:
    """What the API says of the service; nothing while it can't be asked."""
    try:
        with HTTP.open(f"{_url(settings)}/health", timeout=5) as response:
            return dict(json.load(response))
    except (OSError, HTTPException, ValueError):
        return {}


def _for_whom(settings: Settings) -> str:
    """Said first, before anybody can get in."""
    if settings.api_keys_file is None:
        return f"open without a key to whoever reaches {settings.host}:{settings.port}"
    return f"for those who have a key of {settings.api_keys_file}"


def _greet(settings: Settings, elapsed_s: float) -> None:
    url = _url(settings)
    key = "" if settings.api_keys_file is None else '-H "Authorization: Bearer $KEY" '
    print(f"\nReady in {elapsed_s:.1f} s. Open {url} and drop a picture, or try:\n")
    # On this machine it does not have the name in the certificate; from elsewhere -k would give the key to anybody.
    unchecked = "-k " if url.startswith("https://127.0.0.1:") else ""
    print(f"    curl {unchecked}{key}-F file=@tests/pictures/chelsea.jpg {url}/predict\n")
    print(f"Logs: {settings.logs_dir}    Ctrl-C stops everything.", flush=True)


def _url(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host  # noqa: S104  # compared, not bound
    scheme = "https" if settings.tls_cert_file else "http"
    return f"{scheme}://{host}:{settings.port}"


def _raise_stop(_signal: int, _frame: FrameType | None) -> None:
    raise StopAsked


if __name__ == "__main__":
    sys.exit(main())

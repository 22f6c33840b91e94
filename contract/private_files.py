"""Files and folders that only their owner may use, whatever the umask: 600 and 700."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

FILE_MODE, FOLDER_MODE = 0o600, 0o700
UMASK = 0o077  # of every process of ours: for what libraries write


def make_folder(folder: Path) -> None:
    """Make a folder for its owner alone, and those above it that are missing; one that is there stays as it is.

    Raises:
        OSError: that failed.
    """
    missing = [folder] if not folder.exists() else []
    while missing and not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for path in reversed(missing):
        path.mkdir(mode=FOLDER_MODE, exist_ok=True)


def write_file(path: Path, data: bytes) -> None:
    """Write a new file for its owner alone, or replace what one holds.

    Raises:
        OSError: that failed.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    os.fchmod(file, FILE_MODE)  # of one that was there already
    with open(file, "wb") as opened:  # noqa: PTH123  a descriptor has no path
        opened.write(data)


def tighten(folders: Iterable[Path]) -> None:
    """Take from everybody else what an older version left open: folders that are there, and those just below them.

    Their files keep their modes, because nobody else gets past the folder; there may be millions.
    """
    for folder in folders:
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in [folder, *(folder / entry.name for entry in os.scandir(folder) if _is_folder(entry))]:
                _tighten(path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _tighten(folder: Path) -> None:
    if not folder.stat().st_mode & UMASK:
        return
    try:
        folder.chmod(FOLDER_MODE)
    except OSError as error:  # somebody else's, as of a mounted folder of the host
        log.warning("others may look into %s: %s", folder, error.strerror)

"""``python -m local.purge`` (``make purge``): deletes what the service has stored, after it has said what that is."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from contract.settings import load_settings
from local.disk_use import disk_use_bytes
from local.dotenv_file import inherit
from local.folder import InUse, locked
from local.settings import Settings

# Whatever else lies in DATA_DIR, as a file of keys, somebody has put there.
STORED = {
    "uploads": "pictures that were sent",
    "copies": "clean copies of them, to show",
    "feedback": "reports of wrong answers, with their pictures, and the secret that signs links",
    "queue": "the queue: accepted jobs, answers, and passwords",
    "logs": "log files",
}
LOCK = ".lock"


def main() -> int:
    """Run the command line.

    Returns:
        The exit code: 1 if the service runs, or nobody agreed.
    """
    inherit(Path(".env"))
    settings = load_settings(Settings)
    if not settings.data_dir.is_dir():
        print(f"Nothing is stored: there is no {settings.data_dir}.")
        return 0
    if not (settings.data_dir / LOCK).exists():  # as in a home folder, named by mistake: its "logs" are not ours
        print(f"Nothing is stored: no service has run with DATA_DIR={settings.data_dir}.")
        return 0
    try:
        with locked(settings):
            return _purge(settings.data_dir)
    except InUse:
        running = f"a service is running with DATA_DIR={settings.data_dir}, or just ending"
        print(f"Nothing was deleted: {running}. Stop it first.", file=sys.stderr)
    except OSError as error:
        print(f"{error.filename} can't be deleted: {error.strerror}", file=sys.stderr)
    return 1


def _purge(data_dir: Path) -> int:
    """The caller has the folder's lock.

    Raises:
        OSError: something can't be deleted.
    """
    found = {data_dir / name: what for name, what in STORED.items() if (data_dir / name).is_dir()}
    print(f"This deletes, in {data_dir}:" if found else f"Nothing is stored in {data_dir}.")
    for folder, what in found.items():
        files = sum(path.is_file() for path in folder.rglob("*"))
        print(f"  {folder.name:<9} {files:>6} files {disk_use_bytes(folder) / 1e6:7.1f} MB  {what}{_place(folder)}")
    if not found:
        return 0
    here = data_dir.resolve()
    if astray := [folder for folder in found if here.is_relative_to(folder.resolve())]:
        print(f"Nothing was deleted: {astray[0]} leads to {astray[0].resolve()}, which holds more.", file=sys.stderr)
        return 1
    if not _agreed():
        print("Nothing was deleted.")
        return 1
    for folder in found:
        if folder.exists():  # not where another link led to the same
            shutil.rmtree(folder.resolve())
        if folder.is_symlink():
            folder.unlink()
    _remove_if_empty(data_dir)
    return 0


def _place(folder: Path) -> str:
    """What a link leads to goes as well, and may be shared with others."""
    return f", in {folder.resolve()}" if folder.is_symlink() else ""


def _agreed() -> bool:
    if os.environ.get("YES") == "1":
        return True
    if not sys.stdin.isatty():
        print("Nobody is here to be asked: YES=1 make purge deletes it.", file=sys.stderr)
        return False
    try:
        return input("Delete all of it for good? [y/N] ").strip().lower() in {"y", "yes"}
    except (EOFError, KeyboardInterrupt):
        print()
        return False


def _remove_if_empty(data_dir: Path) -> None:
    left = sorted(path.name for path in data_dir.iterdir() if path.name != LOCK)
    if left:
        print(f"Deleted. What is not the service's own stays in {data_dir}: {', '.join(left)}")
        return
    (data_dir / LOCK).unlink()
    data_dir.rmdir()
    print("Deleted.")


if __name__ == "__main__":
    sys.exit(main())

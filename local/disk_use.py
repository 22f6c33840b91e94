"""``python -m local.disk_use``: what the service has put on the disk, and where."""

from __future__ import annotations

import sys
from pathlib import Path

from model.export.fetch import cache_folder


def disk_use_bytes(folder: Path) -> int:
    """What a folder takes, a file of several names once; 0 if it is not there."""
    seen = {}
    for path in folder.rglob("*"):
        try:
            entry = path.lstat()
        except OSError:  # it has just gone
            continue
        seen[entry.st_dev, entry.st_ino] = entry.st_blocks * 512
    return sum(seen.values())


def main() -> None:
    places = {"the environment": Path(sys.prefix), "the models": Path("models"), "downloads": cache_folder()}
    print("What this takes on the disk (docs/upgrading.md says how to remove it):")
    for what, folder in places.items():
        print(f"  {disk_use_bytes(folder) / 1e6:5.0f} MB  {what}, in {_shown(folder)}")


def _shown(folder: Path) -> Path:
    """As short as it can be said."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


if __name__ == "__main__":
    main()

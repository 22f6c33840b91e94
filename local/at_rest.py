"""``python -m local.at_rest`` (``make clean``): says whether services stand on this folder's environment and models.

Wherever their ``DATA_DIR`` is: each of them holds a shared lock on the project's folder.
"""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]


def main(folder: Path = ROOT) -> int:
    """Run the command line.

    Returns:
        The exit code: 1 if a service runs.
    """
    with _opened(folder) as descriptor, suppress(OSError):  # as of a folder on NFS, which can't be locked
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Nothing was deleted: a service is running from this folder. Stop it first.", file=sys.stderr)
            return 1
    return 0


@contextmanager
def in_use(folder: Path = ROOT) -> Iterator[None]:
    """Keep ``make clean`` from taking away what a service stands on, while the context lasts."""
    with _opened(folder) as descriptor:
        with suppress(OSError):  # as above; the service runs without it
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())

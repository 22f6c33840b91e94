"""The download's progress where no terminal shows a bar: a few lines, for logs and for those who wait for them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOK_EVERY_S = 0.5
PARTS = 4  # a line after each of them but the last, which another line follows anyway


@contextmanager
def told_in_lines(folder: Path, total_bytes: int) -> Iterator[None]:
    """Print how much of ``total_bytes`` has come into ``folder`` while the context lasts, unless a bar shows it."""
    if sys.stderr.isatty():
        yield
        return
    ended = Event()
    watcher = Thread(target=_watch, args=(folder, total_bytes, ended), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _watch(folder: Path, total_bytes: int, ended: Event) -> None:
    told = 0
    while not ended.wait(LOOK_EVERY_S):
        come = _size(folder)
        if told < (parts := come * PARTS // total_bytes) < PARTS:
            told = parts
            print(f"  {come / 1e6:.0f} of {total_bytes / 1e6:.0f} MB", flush=True)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # npm moves them as we look
            continue
    return total

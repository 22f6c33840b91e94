"""Runs the program that downloads, and shows the growth of its folder: npm and pip say nothing while they work."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

POLL_S = 0.2
DEADLINE_S = 1800  # 95 MB at half a megabit a second
KILL_AFTER_S = 10


def run(
    command: list[str], folder: Path, size_bytes: int, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run ``command``, which brings ``size_bytes`` into ``folder``, for half an hour at most.

    Returns:
        Its exit code, which isn't 0 when its time was up, and what it wrote to standard error.
    """
    with (folder / "transfer.log").open("w+") as log:
        process = subprocess.Popen(  # noqa: S603  our own arguments
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env=environment
        )
        try:
            _show_progress(process, folder, size_bytes)
        finally:
            _stop(process)
        log.seek(0)
        return process.returncode, log.read()


def _show_progress(process: subprocess.Popen[bytes], folder: Path, size_bytes: int) -> None:
    """Draw the growth of ``folder`` until ``process`` ends or its time is up."""
    with tqdm(total=size_bytes, unit="B", unit_scale=True, desc="Download", disable=None) as bar:
        for _ in range(round(DEADLINE_S / POLL_S)):
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                bar.update(min(_folder_size(folder), size_bytes) - bar.n)
            else:
                if process.returncode == 0:
                    bar.update(size_bytes - bar.n)
                return


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(KILL_AFTER_S)


def _folder_size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(place, name)).st_size  # noqa: PTH116, PTH118  it moves them as we look
            except FileNotFoundError:
                continue
    return total

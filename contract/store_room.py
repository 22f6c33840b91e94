"""The room that stored pictures take, counted by all processes that share their folder.

A file beside the pictures holds the bytes of each subfolder, so that no upload has to look at every file, and a
subfolder can be counted anew alone. A process that dies between counting and storing leaves the count wrong by a
picture, until that happens.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from contract.errors import RETRY_LATER_S, StoreFull
from contract.file_lock import locked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COUNTS = ".room"  # the name of the file: a 64-bit number for each subfolder
SHARDS = 256
BLOCK_BYTES = 4096  # of the usual file systems
LOCK_WAIT_S = 2.0  # others hold the lock for microseconds, or while they count one subfolder
PREPARING_WAIT_S = 30.0  # while another process counts everything


def room_for(size_bytes: int) -> int:
    """Disk space of a file of that size, in bytes, at least a block: a limit in bytes also limits tiny files."""
    return max(BLOCK_BYTES, size_bytes)


class StoreRoom:
    """Bounds one folder of pictures.

    Args:
        most_bytes: the limit of all pictures together.
        reserve_bytes: what is left free on the disk, which Redis' log may share.
        count: counts the bytes of one subfolder, 0 to ``SHARDS`` - 1, by looking at its files.
    """

    def __init__(self, folder: Path, *, most_bytes: int, reserve_bytes: int, count: Callable[[int], int]) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._reserve_bytes = reserve_bytes
        self._count = count

    def take(self, shard: int, size_bytes: int) -> None:
        """Count a file that is about to be stored.

        Raises:
            StoreFull: there is no room for it.
            OSError: the folder can't be written, or others hold its lock.
        """
        room = room_for(size_bytes)
        if free_bytes(self._folder) < self._reserve_bytes + room:
            raise StoreFull("the service's disk has no room for another picture", RETRY_LATER_S)
        with locked(self._folder / COUNTS, wait_s=LOCK_WAIT_S) as file:
            counts = self._read(file)
            if sum(counts) + room > self._most_bytes:
                raise StoreFull("the service has no room for another picture", RETRY_LATER_S)
            counts[shard] += room
            self._write(file, counts)

    def give_back(self, shard: int, size_bytes: int) -> None:
        """Count a file no more.

        Raises:
            OSError: as ``take``.
        """
        with locked(self._folder / COUNTS, wait_s=LOCK_WAIT_S) as file:
            counts = self._read(file)
            counts[shard] = max(0, counts[shard] - room_for(size_bytes))
            self._write(file, counts)

    def correct(self, shard: int) -> None:
        """Count one subfolder anew.

        Raises:
            OSError: as ``take``.
        """
        with locked(self._folder / COUNTS, wait_s=LOCK_WAIT_S) as file:
            counts = self._read(file)
            counts[shard] = self._count(shard)
            self._write(file, counts)

    def prepare(self) -> None:
        """Count what is stored, if nobody has yet, as after an upgrade: with many pictures that takes seconds.

        Raises:
            OSError: as ``take``.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / COUNTS, wait_s=PREPARING_WAIT_S) as file:
            self._read(file)

    def used_bytes(self) -> int:
        """What is counted now.

        Raises:
            OSError: as ``take``.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / COUNTS, wait_s=LOCK_WAIT_S) as file:
            return sum(self._read(file))

    def has(self, size_bytes: int) -> bool:
        """Whether there is room for a file of that size.

        Raises:
            OSError: as ``take``.
        """
        room = room_for(size_bytes)
        enough = free_bytes(self._folder) >= self._reserve_bytes + room
        return enough and self.used_bytes() + room <= self._most_bytes

    def free_bytes(self) -> int:
        """What the disk has left.

        Raises:
            OSError: there is no such folder.
        """
        return free_bytes(self._folder)

    def _read(self, file: int) -> memoryview[int]:
        """What the file holds, or if it holds nothing yet, what the pictures take."""
        raw = os.pread(file, 8 * SHARDS + 1, 0)
        if len(raw) == 8 * SHARDS:
            return memoryview(bytearray(raw)).cast("Q")
        counts = memoryview(bytearray(8 * SHARDS)).cast("Q")
        for shard in range(SHARDS):
            counts[shard] = self._count(shard)
        self._write(file, counts)
        return counts

    def _write(self, file: int, counts: memoryview[int]) -> None:
        os.ftruncate(file, 0)
        os.write(file, counts)


def free_bytes(folder: Path) -> int:
    """What the disk of a folder has left for processes like this one.

    Raises:
        OSError: there is no such folder.
    """
    return shutil.disk_usage(folder).free

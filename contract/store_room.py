"""The room that stored pictures take, counted by all processes that share their folder.

A file beside the pictures holds the bytes of each subfolder, so that no upload has to look at every file, and a
subfolder can be counted anew alone. A process that dies between counting and storing leaves the count wrong by a
picture, until that happens.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from struct import Struct
from typing import TYPE_CHECKING, Protocol

from contract.errors import RETRY_LATER_S, StoreFull
from contract.file_lock import locked
from contract.private_files import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COUNTS = ".room"  # the name of the file: a 64-bit number for each subfolder
SHARDS = 256
COUNT = Struct("Q")
FORMAT = Struct(f"{SHARDS}Q")
BLOCK_BYTES = 4096  # of the usual file systems
LOCK_WAIT_S = 2.0  # others hold the lock for microseconds, or while they count one subfolder
PREPARING_WAIT_S = 30.0  # while another process counts everything


def room_for(size_bytes: int) -> int:
    """Disk space of a file of that size, in bytes, at least a block: a limit in bytes also limits tiny files."""
    return max(BLOCK_BYTES, size_bytes)


class Room(Protocol):
    """What whoever uses a store asks of its room. Each may raise OSError: it can't be told."""

    def add(self, shard: int, size_bytes: int) -> None:
        """Count a file that is stored already."""
        ...

    def give_back(self, shard: int, size_bytes: int) -> None:
        """Count a file no more."""
        ...

    def prepare(self) -> None:
        """Count what is stored, if nobody has yet."""
        ...

    def used_bytes(self) -> int:
        """What is counted now."""
        ...

    def has(self, size_bytes: int) -> bool:
        """Whether there is room for a file of that size."""
        ...

    def free_bytes(self) -> int:
        """What the disk has left."""
        ...


class UncountedRoom:
    """Of a bucket: it has no end, and a count that all machines share would cost more than it is worth."""

    def add(self, shard: int, size_bytes: int) -> None:
        pass

    def give_back(self, shard: int, size_bytes: int) -> None:
        pass

    def prepare(self) -> None:
        pass

    def used_bytes(self) -> int:
        raise OSError("nobody counts it")

    def has(self, _size_bytes: int) -> bool:
        return True

    def free_bytes(self) -> int:
        raise OSError("it has no end")


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
        with self._counts() as (file, counts):
            if free_bytes(self._folder) < self._reserve_bytes + room:
                raise StoreFull("the service's disk has no room for another picture", RETRY_LATER_S)
            if sum(counts) + room > self._most_bytes:
                raise StoreFull("the service has no room for another picture", RETRY_LATER_S)
            _write(file, shard, counts[shard] + room)

    def add(self, shard: int, size_bytes: int) -> None:
        """Count a file that is stored already.

        Raises:
            OSError: as ``take``.
        """
        with self._counts() as (file, counts):
            _write(file, shard, counts[shard] + room_for(size_bytes))

    def give_back(self, shard: int, size_bytes: int) -> None:
        """Count a file no more.

        Raises:
            OSError: as ``take``.
        """
        with self._counts() as (file, counts):
            _write(file, shard, max(0, counts[shard] - room_for(size_bytes)))

    def correct(self, shard: int) -> None:
        """Count one subfolder anew.

        Raises:
            OSError: as ``take``.
        """
        with self._counts() as (file, _):
            _write(file, shard, self._count(shard))

    def prepare(self) -> None:
        """Count what is stored, if nobody has yet, as after an upgrade: with many pictures that takes seconds.

        Raises:
            OSError: as ``take``.
        """
        with self._counts(PREPARING_WAIT_S):
            pass

    def used_bytes(self) -> int:
        """What is counted now.

        Raises:
            OSError: as ``take``.
        """
        with self._counts() as (_, counts):
            return sum(counts)

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

    @contextmanager
    def _counts(self, wait_s: float = LOCK_WAIT_S) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The open file and what it holds or, if it holds nothing yet, what the pictures take."""
        if not self._folder.exists():
            make_folder(self._folder)
        with locked(self._folder / COUNTS, wait_s=wait_s) as file:
            raw = os.pread(file, FORMAT.size + 1, 0)
            if len(raw) != FORMAT.size:
                raw = FORMAT.pack(*(self._count(shard) for shard in range(SHARDS)))
                os.ftruncate(file, 0)
                os.pwrite(file, raw, 0)
            yield file, FORMAT.unpack(raw)


def _write(file: int, shard: int, count_bytes: int) -> None:
    """Write one count and no more: to write the whole file anew costs as much as to store a picture."""
    os.pwrite(file, COUNT.pack(count_bytes), COUNT.size * shard)


def free_bytes(folder: Path) -> int:
    """What the disk of a folder has left for processes like this one.

    Raises:
        OSError: there is no such folder.
    """
    return shutil.disk_usage(folder).free

"""How much memory this process may still take, as far as the system says."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


class _Place(NamedTuple):
    """Where a control group says what it may take and has taken, and which of its statistics are cached files."""

    most: str
    used: str
    statistics: str
    cached: str


_V2 = _Place("memory.max", "memory.current", "memory.stat", "inactive_file")
_V1 = _Place(
    "memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"
)


def room_bytes(cgroup: Path = CGROUP, meminfo: Path = MEMINFO) -> int | None:
    """The smaller of what the machine and this process' control group have left; None where neither says."""
    rooms = [room for room in (_of_group(cgroup), _of_machine(meminfo)) if room is not None]
    return min(rooms, default=None)


def _of_group(cgroup: Path) -> int | None:
    """Cached files count as used there, and are given back when memory is needed."""
    for place in (_V2, _V1):
        with suppress(OSError, ValueError):
            most = int((cgroup / place.most).read_text())  # of v2 "max" is no number: there is no limit
            used = int((cgroup / place.used).read_text())
            statistics = dict(line.split() for line in (cgroup / place.statistics).read_text().splitlines())
            return most - used + int(statistics.get(place.cached, 0))
    return None


def _of_machine(meminfo: Path) -> int | None:
    with suppress(OSError, ValueError):
        for line in meminfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    return None


def give_back() -> None:
    """Return what the allocator holds and nobody uses to the system; only where the C library is glibc."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)

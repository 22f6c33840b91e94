"""How much memory this process may still take, as far as the system says."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


def room_bytes(cgroup: Path = CGROUP, meminfo: Path = MEMINFO) -> int | None:
    """The smaller of what the machine and this process' control group (v2) have left; None where neither says."""
    rooms = [room for room in (_of_group(cgroup), _of_machine(meminfo)) if room is not None]
    return min(rooms, default=None)


def _of_group(cgroup: Path) -> int | None:
    """Cached files count as used there, and are given back when memory is needed."""
    with suppress(OSError, ValueError):
        most = int((cgroup / "memory.max").read_text())  # "max" is no number: there is no limit
        used = int((cgroup / "memory.current").read_text())
        statistics = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        return most - used + int(statistics.get("inactive_file", 0))
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

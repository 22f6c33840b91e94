"""What is measured of a service every few seconds."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
from redis import RedisError

from stress_test.soak.trend import Limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from stress_test.site import Site

MB = 1e6
# A share of the level by hour, or so much: what a measured service without a leak stays below in twenty minutes.
LIMITS: dict[str, Limit] = {
    "memory of the API, MB": Limit(0.15, 30),
    "memory of the workers, MB": Limit(0.15, 60),
    "memory of Redis' process, MB": Limit(0.25, 20),
    "memory that Redis uses, MB": Limit(0.25, 5),
    "keys in Redis": Limit(0.25, 100),
    "stored pictures, MB": Limit(0.25, 20),
    "descriptors of the API": Limit(0.5, 60),
    "descriptors of the workers": Limit(0.5, 30),
}


def sample(site: Site) -> dict[str, float]:
    """The value of every series now; one that can't be had, as while its process is restarted, is left out.

    Memory is proportional (PSS): what several processes share counts once.
    """
    values: dict[str, float] = {}
    api = [site.api_master(), *site.api_processes()]
    workers = [*site.workers(), *(child for worker in site.workers() for child in _children(worker))]
    with suppress(psutil.Error):
        values["memory of the API, MB"] = _sum(api, _pss_mb)
        values["descriptors of the API"] = _sum(api, psutil.Process.num_fds)
    with suppress(psutil.Error):
        values["memory of the workers, MB"] = _sum(workers, _pss_mb)
        values["descriptors of the workers"] = _sum(workers, psutil.Process.num_fds)
    with suppress(psutil.Error):
        values["memory of Redis' process, MB"] = _pss_mb(site.queue())
    with suppress(psutil.Error, RedisError), site.redis() as redis:
        values["memory that Redis uses, MB"] = redis.info("memory")["used_memory"] / MB
        values["keys in Redis"] = redis.dbsize()
    values["stored pictures, MB"] = sum(_size(path) for path in site.uploads.rglob("*")) / MB
    return values


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def _pss_mb(process: psutil.Process) -> float:
    return float(process.memory_full_info().pss / MB)


def _sum(processes: Iterable[psutil.Process], value: Callable[[psutil.Process], float]) -> float:
    return sum(value(process) for process in processes)


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size if path.is_file() else 0
    return 0

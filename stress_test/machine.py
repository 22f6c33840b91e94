"""Where figures were measured, and with what."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Self

from model.cpu import usable_cpus

PACKAGES = ("locust", "gunicorn", "gevent", "rq", "onnxruntime")


@dataclass(frozen=True, slots=True)
class Machine:
    """``load`` is the mean number of processes that wanted a core in the minute before."""

    processor: str
    cores: int
    load: float
    software: dict[str, str]

    @classmethod
    def this(cls) -> Self:
        software = {"Python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
        return cls(_processor(Path("/proc/cpuinfo")), usable_cpus(), os.getloadavg()[0], software)


def _processor(cpuinfo: Path) -> str:
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

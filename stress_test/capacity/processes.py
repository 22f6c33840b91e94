"""The service's processes by what they are for, their processor time and their memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import psutil

Role = Literal["api", "worker", "queue"]
ROLES: tuple[Role, ...] = ("api", "worker", "queue")
_SIGNS: dict[Role, tuple[str, ...]] = {
    "api": ("python:api.gunicorn_conf",),
    "worker": ("model.worker", "stress_test.capacity.null_worker"),
    "queue": ("valkey-server",),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the service; ``name`` tells those of one role apart."""

    role: Role
    name: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """User and system time since its start, in seconds; the system counts in hundredths."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        """Resident memory in MB of 1,000,000 bytes, shared libraries among it."""
        return float(self.process.memory_info().rss / 1e6)


def service_parts() -> list[Part]:
    """All processes of the one service that this process has started; gunicorn's master is among the API's."""
    parts: list[Part] = []
    for process in psutil.Process().children(recursive=True):
        role = _role(process.cmdline())
        if role is not None:
            parts.append(Part(role, _name(role, process, parts), process))
    return parts


def cpu_s_by_role(parts: list[Part]) -> dict[Role, float]:
    return {role: sum(part.cpu_s() for part in parts if part.role == role) for role in ROLES}


def _role(command: list[str]) -> Role | None:
    for role, signs in _SIGNS.items():
        if any(sign in word for word in command for sign in signs):
            return role
    return None


def _name(role: Role, process: psutil.Process, others: list[Part]) -> str:
    if role == "api" and _leads(process):
        return "api master"
    return f"{role} {sum(part.name.startswith(role) and part.name != 'api master' for part in others) + 1}"


def _leads(process: psutil.Process) -> bool:
    parent = process.parent()
    return parent is None or _role(parent.cmdline()) != "api"

"""The service's processes by role, their processor time and their memory."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import psutil

from api.settings import Settings as ApiSettings
from stress_test.errors import CannotMeasure

if TYPE_CHECKING:
    from collections.abc import Iterator

Role = Literal["api", "worker", "queue"]
ROLES: tuple[Role, ...] = ("api", "worker", "queue")
MASTER = "api master"
# A whole word of the command line, or the process's name: Valkey writes a title of its own over its command line.
_SIGNS: dict[Role, frozenset[str]] = {
    "api": frozenset({"python:api.gunicorn_conf"}),
    "worker": frozenset({"model.worker", "stress_test.capacity.null_worker"}),
    "queue": frozenset({"valkey-server"}),
}
COMPLETE_WITHIN_S = 10.0  # gunicorn starts its processes one after the other, and the first one answers before the last
LOOK_EVERY_S = 0.1
_API_PROCESSES: int = ApiSettings.model_fields["web_concurrency"].default


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the service; ``name`` distinguishes those of one role."""

    role: Role
    name: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """User and system time since its start, in seconds; the system counts in hundredths.

        Raises:
            CannotMeasure: it has ended, so what it did is no longer counted.
        """
        with self._still_there():
            times = self.process.cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        """Resident memory in MB of 1,000,000 bytes, shared libraries included.

        Raises:
            CannotMeasure: it has ended.
        """
        with self._still_there():
            return float(self.process.memory_info().rss / 1e6)

    @contextmanager
    def _still_there(self) -> Iterator[None]:
        """A dead process that has not been waited for yet (a zombie) has figures too, but they never change."""
        try:
            if not self.process.is_running() or self.process.status() == psutil.STATUS_ZOMBIE:
                raise psutil.NoSuchProcess(self.process.pid)  # noqa: TRY301 - one error for all ways of ending
            yield
        except psutil.NoSuchProcess as error:
            raise CannotMeasure(f"{self.name} (process {self.process.pid}) ended while it was measured") from error


def service_parts(*, workers: int, api_processes: int = _API_PROCESSES, starter_pid: int | None = None) -> list[Part]:
    """All processes of the one service that ``starter_pid`` (this process) has started, gunicorn's master among them.

    Raises:
        CannotMeasure: there are other numbers of them than there should be, and it stays so. A figure of what was not
            found, or of two services, would look as good as any.
    """
    expected = {MASTER: 1, "api": api_processes, "worker": workers, "queue": 1}
    deadline = time.monotonic() + COMPLETE_WITHIN_S
    while wrong := _wrong(parts := _find(psutil.Process(starter_pid)), expected):
        if time.monotonic() > deadline:
            raise CannotMeasure(f"the service's processes were not found as they should be: {wrong}")
        time.sleep(LOOK_EVERY_S)
    return parts


def cpu_s_by_role(parts: list[Part]) -> dict[Role, float]:
    """Raises CannotMeasure: one of them has ended."""
    return {role: sum(part.cpu_s() for part in parts if part.role == role) for role in ROLES}


def _find(starter: psutil.Process) -> list[Part]:
    parts: list[Part] = []
    for process in starter.children(recursive=True):
        try:
            role = _role(process)
            leads = role == "api" and _leads(process)
        except psutil.NoSuchProcess:
            continue  # if it was one of the service's, the check below notices
        if role is not None:
            number = sum(part.role == role and part.name != MASTER for part in parts) + 1
            parts.append(Part(role, MASTER if leads else f"{role} {number}", process))
    return parts


def _wrong(parts: list[Part], expected: dict[str, int]) -> str:
    """The roles with too few or too many processes; empty if all is well."""
    kinds = [part.name if part.name == MASTER else part.role for part in parts]
    return ", ".join(
        f"{kind} {kinds.count(kind)} times instead of {number}"
        for kind, number in expected.items()
        if kinds.count(kind) != number
    )


def _role(process: psutil.Process) -> Role | None:
    words = {process.name(), *process.cmdline()}
    return next((role for role, signs in _SIGNS.items() if not signs.isdisjoint(words)), None)


def _leads(process: psutil.Process) -> bool:
    """Whether a process of the API is gunicorn's master: its parent is not one of the API's."""
    parent = process.parent()
    return parent is None or _role(parent) != "api"

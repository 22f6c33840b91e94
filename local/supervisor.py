"""Starts the service's processes (parts), restarts those that die, and stops all of them in order.

Why our own: docs/decisions/0003-own-supervisor.md.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.private_files import UMASK

if TYPE_CHECKING:
    from local.log_files import LogFiles
    from local.parts import Part

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
STEADY_AFTER_S = 10.0  # a part that ran this long is restarted after the first pause
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class PartDied(Exception):
    """A part ended while the service was starting; the message includes the last line of its log.

    Attributes:
        code: with which it ended; None if it could not be run.
        last_line: of its log.
    """

    def __init__(self, message: str, code: int | None = None, last_line: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.last_line = last_line


@dataclass(slots=True)
class _Running:
    part: Part
    process: subprocess.Popen[bytes]
    started: float
    pause_s: float = FIRST_PAUSE_S
    restart_at: float | None = None

    def pause(self, now: float, *, steady: bool) -> None:
        """Set when it is restarted: after the first pause if it ran steadily, otherwise after twice the last pause."""
        self.pause_s = FIRST_PAUSE_S if steady else min(2 * self.pause_s, LONGEST_PAUSE_S)
        self.restart_at = now + self.pause_s


class Supervisor:
    """Runs parts with one log file each.

    Args:
        logs: where the parts write; they are cut at every look.
    """

    def __init__(self, logs: LogFiles) -> None:
        self._logs = logs
        self._running: list[_Running] = []

    def start(self, part: Part) -> None:
        """Start a part for the first time.

        Raises:
            PartDied: its command can't be run.
        """
        try:
            process = self._spawn(part)
        except OSError as error:
            raise PartDied(f"{part.name} can't be run: {error}") from error
        self._running.append(_Running(part, process, time.monotonic()))

    def check(self) -> None:
        """Check that every part is running.

        Raises:
            PartDied: one is not.
        """
        self._logs.cut()
        for running in self._running:
            code = running.process.poll()
            if code is not None:
                last_line = self._last_line(running.part)
                raise PartDied(f"{running.part.name} ended with code {code}: {last_line}", code, last_line)

    def restart_dead(self) -> None:
        """Restart each part that has died, after a short pause that grows if it keeps dying."""
        self._logs.cut()
        now = time.monotonic()
        for running in self._running:
            if running.restart_at is None:
                if (code := running.process.poll()) is not None:
                    running.pause(now, steady=now - running.started > STEADY_AFTER_S)
                    print(f"{running.part.name} ended with code {code}; starting it again", flush=True)
            elif now >= running.restart_at:
                try:
                    running.process = self._spawn(running.part)
                except OSError as error:  # no memory, no room for the log: this may be temporary
                    running.pause(now, steady=False)
                    print(f"{running.part.name} can't be run ({error}); trying again", flush=True)
                else:
                    running.started, running.restart_at = now, None

    def stop(self) -> None:
        """Stop all parts, the last started first; one that does not end in time is killed with all its children."""
        for running in reversed(self._running):
            if running.process.poll() is None:
                running.process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    running.process.wait(running.part.patience_s)
            with suppress(ProcessLookupError):
                os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
        self._running.clear()

    def _spawn(self, part: Part) -> subprocess.Popen[bytes]:
        with self._logs.open(part.name) as log:
            return subprocess.Popen(  # noqa: S603  # our own commands
                part.command,
                env=part.environment,
                umask=UMASK,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=part.inherits,
                # Ctrl-C at the terminal reaches only this supervisor, which stops in order. No session of its own:
                # Linux divides processors among sessions first, and all of the API would count as one worker.
                process_group=0,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  # no threads here
            )

    def _last_line(self, part: Part) -> str:
        lines = self._logs.read(part.name).strip().splitlines()
        return lines[-1] if lines else "it wrote no log"


def _end_with_parent() -> None:
    """Ask Linux to end this process when the supervisor is killed, so that nothing is left running."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

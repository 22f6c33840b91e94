"""Starts bare loops, one process per core, and lets them take turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from stress_test.errors import CannotMeasure
from stress_test.load import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class LoopRun:
    """Photos a second of all processes together; p50 and p99 of one batch's time in the first of them."""

    per_s: float
    p50_ms: float
    p99_ms: float


class Loop:
    """Bare loops that wait for their turn.

    Attributes:
        right: share of the photos that it labels as their table does, 0 to 1.
    """

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._processes = processes
        warm = [self._hear(process) for process in processes]
        self.right = warm[0]["right"] / warm[0]["photos"]

    def run(self, seconds: float) -> LoopRun:
        """Raises CannotMeasure: a loop died."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
        heard = [self._hear(process) for process in self._processes]
        return LoopRun(sum(run["per_s"] for run in heard), heard[0]["p50_ms"], heard[0]["p99_ms"])

    @staticmethod
    def _hear(process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise CannotMeasure("a bare loop died; what it says of it stands above")
        heard: dict[str, Any] = json.loads(line)
        return heard


@contextmanager
def loop(
    kind: Literal["conventional", "own"], model: Path, photos: Path, *, batch: int, processes: int
) -> Iterator[Loop]:
    """Keep ``processes`` loops ready while the context lasts, each on a core of its own.

    Raises:
        CannotMeasure: a loop died.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(processes))
    running: list[subprocess.Popen[str]] = []
    try:
        for core in cores[-processes:]:
            command = [sys.executable, "-m", "stress_test.capacity.bare_loop"]
            running.append(
                subprocess.Popen(
                    [*command, kind, str(model), str(batch), str(core), str(photos)],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    start_new_session=True,  # Ctrl-C reaches only the parent, which then ends this
                )
            )
        yield Loop(running)
    finally:
        for process in running:
            process.kill()
            process.communicate()

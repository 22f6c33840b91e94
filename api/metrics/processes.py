"""Where the API's processes keep what each has counted: a folder of prometheus_client's files, made by gunicorn_conf.

prometheus_client names the files by the process's id and never removes a counter's: each process that ever was leaves
some behind, and every scrape reads all of them. Here a process has a slot, the first number that nobody alive has, and
the files are named by that: it opens what its dead predecessor left and goes on from there. So files are as few as
processes at a time, and totals never fall. Why so: docs/decisions/0009-numbers-of-the-service.md.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self

from prometheus_client import values
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from collections.abc import Container

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client reads it whenever it makes a series
STARTED = "started.json"
IN_FLIGHT = "gauge_livesum"
# What a process's files are called, and their bytes from the start: room for every series. prometheus_client would
# leave holes to be filled as it counts, and where there is no room for that the kernel kills the process.
FILES = {"counter": 131_072, "histogram": 262_144, IN_FLIGHT: 4_096}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Start:
    """The moment at which the service started, the same for all of its processes: in Unix time, and on their clock."""

    unix_s: float = field(default_factory=time.time)
    monotonic_s: float = field(default_factory=time.monotonic)

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.monotonic_s


@dataclass(frozen=True, slots=True)
class ProcessFolder:
    """``path`` and what is in it; gunicorn's main process makes it, before the first fork, and removes it."""

    path: Path
    start: Start
    is_ours: bool = False

    @classmethod
    def make(cls) -> Self:
        """The folder that the environment names, or else a temporary one; with nothing counted in it."""
        named = os.environ.get(FOLDER)
        path = Path(named or tempfile.mkdtemp(prefix="api-metrics-"))
        path.mkdir(parents=True, exist_ok=True)
        for left_over in path.glob("*.db"):
            left_over.unlink()
        folder = cls(path, Start(), is_ours=named is None)
        (path / STARTED).write_text(json.dumps(asdict(folder.start)))
        os.environ[FOLDER] = str(path)
        return folder

    @classmethod
    def made_by_gunicorn(cls) -> Self | None:
        """The one that this process's parent made; none where the API runs otherwise."""
        path = Path(os.environ.get(FOLDER, ""))
        started = path / STARTED
        return cls(path, Start(**json.loads(started.read_text()))) if started.exists() else None

    def join(self, slot: int) -> None:
        """Let this process count in the files of ``slot``. Of a predecessor's only what was in flight is forgotten.

        Where there is no room for them it serves all the same, and what it counts is seen by nobody.
        """
        try:
            self._reserve(slot)
        except OSError:
            log.exception("this process is missing from the service's numbers: there is no room for its own")
            values.ValueClass = values.MutexValue
        else:
            self.forget_in_flight(slot)
            values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]

    def _reserve(self, slot: int) -> None:
        """Make the files that are not there yet. They appear at full size, and so can be read whatever happens."""
        for kind, size in FILES.items():
            file = self._file(kind, slot)
            if not file.exists():
                unfinished = file.with_suffix(".new")
                unfinished.write_bytes(bytes(size))
                unfinished.replace(file)

    def forget_in_flight(self, slot: int) -> None:
        """With the process that had this slot its requests have died, and nobody else may ever take it."""
        with suppress(FileNotFoundError), self._file(IN_FLIGHT, slot).open("r+b") as file:
            file.write(bytes(FILES[IN_FLIGHT]))  # in place: it needs no room

    def _file(self, kind: str, slot: int) -> Path:
        return self.path / f"{kind}_{slot}.db"

    def collector(self) -> MultiProcessCollector:
        """Reads what all processes counted, added up."""
        return MultiProcessCollector(None, self.path)  # type: ignore[no-untyped-call]

    def remove(self) -> None:
        """Leave nothing behind, once no process counts any more. A folder that somebody else named is theirs."""
        if self.is_ours:
            shutil.rmtree(self.path, ignore_errors=True)


def free_slot(taken: Container[int]) -> int:
    return next(slot for slot in count() if slot not in taken)

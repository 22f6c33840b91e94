"""What the supervisor does with parts that die: real processes, and a clock that the test sets."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import psutil
import pytest

from local import supervisor as module
from local.log_files import LogFiles
from local.parts import Part
from local.supervisor import FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_AFTER_S, PartDied, Supervisor
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INSTANT_S = 0.01
LOG_BYTES = 60_000


class Clock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Stage:
    """A supervisor with the test's clock, and what can be seen of it from outside."""

    def __init__(self, folder: Path, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
        self.supervisor = Supervisor(LogFiles(folder, LOG_BYTES, parts=1))
        self.clock = clock
        self._capsys = capsys

    def until_said(self, words: str) -> None:
        """Let the supervisor look, at one moment of the clock, until it prints ``words``."""

        def said() -> bool:
            self.supervisor.restart_dead()
            return words in self._capsys.readouterr().out

        eventually(said, f"the supervisor says: {words}")

    def starts_after(self, pause_s: float) -> bool:
        """Whether a part that is known to be dead is started again when that time is over, and not before."""
        before = self.children()
        self.clock.now += pause_s - INSTANT_S
        self.supervisor.restart_dead()
        too_early = self.children() != before
        self.clock.now += 2 * INSTANT_S
        self.supervisor.restart_dead()
        return not too_early and self.children() != before

    @staticmethod
    def children() -> set[int]:
        return {child.pid for child in psutil.Process().children()}


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Stage]:
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.monotonic))
    stage = Stage(tmp_path, clock, capsys)
    yield stage
    stage.supervisor.stop()


def shell(script: str) -> Part:
    return Part("part", ("sh", "-c", script), {"PATH": "/usr/bin:/bin"})


def test_a_part_that_keeps_dying_is_started_again_after_pauses_that_grow_to_a_bound(stage):
    """A part that can't run must not use up the processor with starts, and must be back soon once it can."""
    stage.supervisor.start(shell("exit 1"))

    for doubled in range(1, 8):
        stage.until_said("part ended with code 1; starting it again")
        assert stage.starts_after(min(FIRST_PAUSE_S * 2**doubled, LONGEST_PAUSE_S))


def test_a_part_that_ran_well_for_a_while_is_back_after_the_shortest_pause(stage):
    """One crash a day is not a part that keeps dying."""
    stage.supervisor.start(shell("exit 1"))
    for _ in range(3):
        stage.until_said("part ended")
        stage.clock.now += LONGEST_PAUSE_S
        stage.supervisor.restart_dead()
    stage.clock.now += STEADY_AFTER_S + INSTANT_S
    stage.until_said("part ended")

    assert stage.starts_after(FIRST_PAUSE_S)


def test_a_part_that_lives_is_left_alone(stage):
    stage.supervisor.start(shell("exec sleep 1000"))
    before = stage.children()
    stage.clock.now += 2 * STEADY_AFTER_S
    stage.supervisor.restart_dead()
    stage.supervisor.check()

    assert stage.children() == before


def test_a_part_that_never_stops_talking_does_not_fill_the_disk_and_its_last_lines_are_kept(stage, tmp_path):
    """A worker in trouble logs the same line again and again, at night."""
    script = "n=0; while read _; do i=0; while test $i -lt 500; do echo line $n; n=$((n+1)); i=$((i+1)); done; done"
    feeder = tmp_path / "feeder"
    feeder.touch()
    stage.supervisor.start(shell(f"tail -n +1 -f {feeder} | ({script})"))
    sizes = []
    for round_ in range(1, 31):
        with feeder.open("a") as file:
            file.write("\n")
        last = f"line {500 * round_ - 1}\n"
        eventually(lambda: last in logged(tmp_path), "the lines are written")  # noqa: B023  # at once
        stage.supervisor.check()
        sizes.append(sum(len(path.read_bytes()) for path in tmp_path.glob("part.log*")))

    assert max(sizes) <= LOG_BYTES
    kept = logged(tmp_path).splitlines()
    assert kept == [f"line {n}" for n in range(15_000 - len(kept), 15_000)]
    assert len(kept) > 1000


def logged(folder: Path) -> str:
    paths = (folder / "part.log.1", folder / "part.log")
    return "".join(path.read_text() for path in paths if path.exists())


def test_a_command_that_cannot_be_run_for_a_while_does_not_end_the_others(stage, tmp_path):
    """No memory for a process, or a program being replaced: the service goes on and tries again."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o700)
    stage.supervisor.start(Part("part", (str(program),), {}))
    stage.until_said("part ended with code 1")
    program.chmod(0o600)
    stage.clock.now += LONGEST_PAUSE_S
    stage.until_said("part can't be run")
    program.chmod(0o700)
    stage.clock.now += LONGEST_PAUSE_S

    stage.until_said("part ended with code 1")


def test_a_command_that_cannot_be_run_at_first_ends_the_start_in_one_line(stage, tmp_path):
    with pytest.raises(PartDied, match=r"^part can't be run: .*No such file[^\n]*$"):
        stage.supervisor.start(Part("part", (str(tmp_path / "missing"),), {}))


def test_a_part_that_dies_while_the_service_starts_is_reported_with_the_last_line_of_its_log(stage):
    """The person at the terminal reads the reason, not just where the log is."""
    stage.supervisor.start(shell("echo first; echo the disk is on fire; exit 3"))

    def died() -> str:
        try:
            stage.supervisor.check()
        except PartDied as error:
            return str(error)
        return ""

    assert eventually(died, "the part ends") == "part ended with code 3: the disk is on fire"


def test_stopping_kills_a_part_that_ignores_signals_with_its_children(stage, tmp_path):
    """Nothing may be left running."""
    others = stage.children()
    part = shell("trap '' TERM; sleep 1000 & echo ready; wait; wait")
    stage.supervisor.start(replace(part, patience_s=0.1))
    eventually(lambda: "ready" in (tmp_path / "part.log").read_text(), "the part runs")
    (parent,) = stage.children() - others
    family = [psutil.Process(parent), *psutil.Process(parent).children()]
    stage.supervisor.stop()

    assert len(family) == 2
    assert psutil.wait_procs(family, timeout=60)[1] == []

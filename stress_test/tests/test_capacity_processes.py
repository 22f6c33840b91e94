"""Whose processor time is counted: real processes with the command lines of the service's parts."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from stress_test.capacity import processes
from stress_test.capacity.processes import Part, cpu_s_by_role, service_parts
from stress_test.errors import CannotMeasure
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

pytestmark = pytest.mark.long

API, WORKER, QUEUE = "python:api.gunicorn_conf", "model.worker", "valkey-server"
# Each word becomes a process that has it on its command line; the API's has children of the same words, as gunicorn's
# master. Valkey is known by its program's name.
STARTER = """
import subprocess, sys, time
master = "import subprocess, sys, time; [subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)', " \\
         "*sys.argv[1:]]) for _ in range(2)]; time.sleep(300)"
for word in words:
    code = master if "gunicorn" in word else "import time; time.sleep(300)"
    program = f"{folder}/{word}" if "valkey" in word else sys.executable
    subprocess.Popen([program, "-c", code, word])
time.sleep(300)
"""


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., AbstractContextManager[psutil.Process]]:
    (tmp_path / QUEUE).symlink_to(sys.executable)

    @contextmanager
    def start(*words: str, processes_in_all: int) -> Iterator[psutil.Process]:
        script = f"words, folder = {words}, {str(tmp_path)!r}\n{STARTER}"
        with subprocess.Popen([sys.executable, "-c", script]) as starter:
            process = psutil.Process(starter.pid)

            def all_there() -> bool:
                children = process.children(recursive=True)
                return len(children) == processes_in_all and all(script not in child.cmdline() for child in children)

            try:
                eventually(all_there, "all are there")
                yield process
            finally:
                for running in [*process.children(recursive=True), process]:
                    running.kill()

    return start


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "COMPLETE_WITHIN_S", 0.0)


def test_every_part_of_the_service_is_found_under_a_name_of_its_own(started):
    """The other process does not belong to the service, like wrk, the loops and the peer."""
    with started(API, WORKER, WORKER, QUEUE, "bare_loop", processes_in_all=7) as starter:
        parts = service_parts(workers=2, starter_pid=starter.pid)

    assert sorted(part.name for part in parts) == ["api 1", "api 2", "api master", "queue 1", "worker 1", "worker 2"]


@pytest.mark.parametrize(
    ("words", "in_all", "wrong"),
    [
        ((API, QUEUE), 4, "worker 0 times instead of 1"),
        ((API, WORKER), 4, "queue 0 times instead of 1"),
        ((WORKER, QUEUE), 2, "api master 0 times instead of 1, api 0 times instead of 2"),
        ((API, WORKER, WORKER, QUEUE), 6, "worker 2 times instead of 1"),
        ((API, "model.worker.old", "a model.worker", QUEUE), 6, "worker 0 times instead of 1"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_a_part_that_is_not_found_does_not_count_as_one_that_costs_nothing(started, words, in_all, wrong):
    """A renamed command would otherwise be the cheapest of all workers."""
    with (
        started(*words, processes_in_all=in_all) as starter,
        pytest.raises(CannotMeasure, match=wrong),
    ):  # on a busy machine more may be missing
        service_parts(workers=1, starter_pid=starter.pid)


@pytest.mark.parametrize("figure", ["cpu_s", "rss_mb"])
@pytest.mark.parametrize("waited_for", [True, False])
def test_a_part_that_ends_while_it_is_measured_has_no_figure(figure, waited_for):
    """Even as a zombie: the system still reports its processor time, but nothing is added any more."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]) as process:
        part = Part("worker", "worker 1", psutil.Process(process.pid))
        before = getattr(part, figure)()
        process.kill()
        if waited_for:
            process.wait()
        else:
            eventually(lambda: part.process.status() == psutil.STATUS_ZOMBIE, "it is dead")

        with pytest.raises(CannotMeasure, match=r"^worker 1 \(process \d+\) ended while it was measured$"):
            getattr(part, figure)()
    assert before >= 0


def test_a_part_that_is_started_again_ends_the_turn_in_which_it_died(started):
    """Its successor has a time of its own, which began at zero."""
    with started(WORKER, processes_in_all=1) as starter:
        (worker,) = starter.children()
        parts = [Part("worker", "worker 1", worker)]
        cpu_s_by_role(parts)
        worker.kill()
        eventually(lambda: worker.status() == psutil.STATUS_ZOMBIE, "it is dead")

        with pytest.raises(CannotMeasure, match="worker 1 "):
            cpu_s_by_role(parts)

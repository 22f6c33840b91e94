"""Numbers of several processes. Each ``process`` here is one that gunicorn forks; real ones: tests/test_stats.py."""

from __future__ import annotations

import os
import sys
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import mmap_dict, values
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from api.app import create_app
from api.metrics import CLASSIFYING, STATUSES, UNMATCHED, families, processes
from api.metrics.families import Families
from api.metrics.processes import FILES, FOLDER, ProcessFolder, free_slot
from api.services import Services
from api.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from types import FrameType

    from prometheus_client.core import Metric

TRACED = {mmap_dict.__file__, values.__file__, processes.__file__}


@pytest.fixture(autouse=True)
def _no_other_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a process of the API sets for itself is taken back."""
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    yield
    values.close_all_multiprocess_files()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProcessFolder:
    monkeypatch.setenv(FOLDER, str(tmp_path / "numbers"))
    return ProcessFolder.make()


def process(folder: ProcessFolder, slot: int) -> Families:
    folder.join(slot)
    return Families(folder, caches=("hit", "miss"), reasons=("overloaded",))


def serve_one(process: Families) -> None:
    process.in_flight.inc()
    process.requests["POST", "/predict", "2xx"].inc()
    process.classifying["/predict", "2xx"].observe(0.25)
    process.in_flight.dec()


def requests_seen_by(process: Families) -> float:
    return sum(sample.value for sample in process.read()["classifier_http_requests"].samples)


def in_flight_seen_by(process: Families) -> float:
    return process.read()["classifier_http_requests_in_flight"].samples[0].value


def scrape(process: Families) -> str:
    class Scrape(Collector):
        def collect(self) -> Iterable[Metric]:
            return process.read().values()

    return str(generate_latest(Scrape()).decode())


def names(folder: ProcessFolder) -> set[str]:
    return {file.name for file in folder.path.iterdir()}


def test_what_several_processes_counted_is_added_up(folder):
    several = [process(folder, slot) for slot in range(3)]
    for counting, times in zip(several, (3, 4, 5), strict=True):
        for _ in range(times):
            serve_one(counting)

    assert [requests_seen_by(any_of_them) for any_of_them in several] == [12, 12, 12]


def test_a_hundred_processes_that_die_leave_the_files_of_one_and_all_that_they_counted(folder):
    """Files by process would grow without end, and with them each scrape; totals that fall look like a restart."""
    for _ in range(100):
        serve_one(process(folder, 0))
    last = process(folder, 0)

    assert requests_seen_by(last) == 100
    assert len(list(folder.path.glob("*.db"))) == len(FILES)


def test_requests_in_flight_die_with_their_process(folder):
    """Whether a successor comes or the slot stays empty, as that of an old process after a reload."""
    for slot in (0, 1):
        process(folder, slot).in_flight.inc()
    survivor = process(folder, 2)
    process(folder, 0)
    folder.forget_in_flight(1)

    assert in_flight_seen_by(survivor) == 0


@pytest.mark.parametrize(("taken", "slot"), [(set(), 0), ({0, 1}, 2), ({1, 2}, 0), ({0, 2}, 1)])
def test_a_new_process_gets_the_first_slot_that_nobody_alive_has(taken, slot):
    assert free_slot(taken) == slot


def test_a_process_that_finds_no_room_for_its_numbers_serves_all_the_same(folder, caplog):
    """A full disk under /tmp is bad enough; and the others' numbers are still right."""
    other = process(folder, 1)
    serve_one(other)
    (folder.path / "histogram_0.new").mkdir()  # in the way of its file
    serve_one(process(folder, 0))

    assert requests_seen_by(other) == 1
    assert "missing from the service's numbers" in caplog.text


class Killed(BaseException):
    pass


def is_killed_after(lines: int, work: Callable[[], None]) -> bool:
    """Do ``work`` until that many lines have run of the code that writes files; false if there are no more."""
    left = lines

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in TRACED:
            return None
        left -= event == "line"
        if left < 0:
            raise Killed
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except Killed:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files that the killed had open
@pytest.mark.long
def test_wherever_a_process_is_killed_the_numbers_can_be_read_and_gone_on_with(tmp_path, monkeypatch):
    """From before its files are there to after its first request; and the other processes' scrapes never fail.

    The kernel keeps what a killed process wrote, in the order in which it did so: what is tried is each such state.
    """
    monkeypatch.setattr(processes, "FILES", dict.fromkeys(FILES, 4096))
    monkeypatch.setattr(families, "BOUNDS_S", (0.1, 1.0))  # the more buckets, the more of the same lines
    for lines in count():
        monkeypatch.setenv(FOLDER, str(tmp_path / str(lines)))
        folder = ProcessFolder.make()
        survivor = process(folder, 1)
        if lines % 2:
            serve_one(process(folder, 0))  # the victim has a predecessor
        before = requests_seen_by(survivor)

        killed = is_killed_after(lines, lambda folder=folder: serve_one(process(folder, 0)))  # type: ignore[misc]

        text = scrape(survivor)
        assert list(text_string_to_metric_families(text))
        now = requests_seen_by(survivor)
        assert now in {before, before + 1}
        serve_one(process(folder, 0))
        assert requests_seen_by(survivor) == now + 1
        assert in_flight_seen_by(survivor) == 0
        values.close_all_multiprocess_files()
        if not killed:
            break

    assert lines > 300


# the folder


def test_without_a_name_the_folder_is_a_temporary_one_of_which_nothing_is_left():
    folder = ProcessFolder.make()
    process(folder, 0)
    assert os.environ[FOLDER] == str(folder.path)
    folder.remove()

    assert not folder.path.exists()


def test_a_folder_that_is_named_is_emptied_of_old_numbers_and_stays(tmp_path, monkeypatch):
    """Numbers begin anew with the service; what else is there, and the folder, is its owner's."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    serve_one(process(ProcessFolder.make(), 7))
    (tmp_path / "notes.txt").touch()
    folder = ProcessFolder.make()

    assert requests_seen_by(process(folder, 0)) == 0
    folder.remove()
    assert "notes.txt" in names(folder)


def test_all_processes_have_the_start_of_the_service_as_theirs(folder):
    found = ProcessFolder.made_by_gunicorn()

    assert found is not None
    assert found.start == folder.start


def test_without_gunicorn_nobody_makes_a_folder(tmp_path, monkeypatch):
    """An application in a test counts for itself."""
    assert ProcessFolder.made_by_gunicorn() is None
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert ProcessFolder.made_by_gunicorn() is None


def test_the_files_have_room_for_every_series_from_the_start(folder, tmp_path):
    """A file that has to grow where no room is left kills its process, and so its successors."""
    folder.join(0)
    settings = Settings(upload_dir=tmp_path / "uploads", feedback_dir=tmp_path)
    metrics = create_app(Services.connect(settings), folder).extensions["metrics"]
    for status in STATUSES.values():
        for place in {*metrics._places, UNMATCHED}:
            metrics._families.requests[*place, status].inc()
        for route in CLASSIFYING:
            metrics._families.classifying[route, status].observe(0.1)
    for stage in ("queue", "decode", "infer"):
        metrics._families.stages[stage,].observe(0.1)
    contents = {kind: (folder.path / f"{kind}_0.db").read_bytes() for kind in FILES}

    assert {kind: len(content) for kind, content in contents.items()} == FILES

"""The file of inspections: appended by several processes at once, read backwards, and never full."""

from __future__ import annotations

from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest

from api.inspection.log import InspectionLog
from api.inspection.record import Inspection
from contract.errors import BackendDown, StoreFull

if TYPE_CHECKING:
    from pathlib import Path


def numbered(number: int, **found: Any) -> Inspection:
    told = {"pattern": "bracket", "decision": True, "number": number, **found}
    return Inspection.now(picture="a" * 64, model="parts@1", digest="d" * 64, found=told)


def log_in(folder: Path, most_bytes: int = 10**6) -> InspectionLog:
    return InspectionLog(folder / "inspections", most_bytes=most_bytes, reserve_bytes=0)


def numbers(log: InspectionLog) -> list[int]:
    return [inspection.found["number"] for inspection in log.newest_first()]


def _append(folder: Path, first: int) -> None:
    for number in range(first, first + 200):
        log_in(folder, 10**7).append(numbered(number))


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    writers = [get_context("spawn").Process(target=_append, args=(tmp_path, start)) for start in (0, 1000, 2000)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    found = numbers(log_in(tmp_path))
    assert sorted(found) == [start + number for start in (0, 1000, 2000) for number in range(200)]
    assert [number for number in found if number < 1000] == list(range(199, -1, -1))


def test_what_was_written_is_read_as_it_was(tmp_path):
    done = numbered(1, reasons=["line\nbreak", "ünïcödé"], detections=[{"label": "x" * 200_000}])
    log_in(tmp_path).append(done)

    assert list(log_in(tmp_path).newest_first()) == [done]


def test_when_its_room_is_used_up_the_oldest_go(tmp_path):
    """A line of production does not stop because a file is full."""
    line = len(numbered(100).to_line())
    log = log_in(tmp_path, most_bytes=20 * line)
    for number in range(100, 135):
        log.append(numbered(number))

    assert numbers(log) == list(range(134, 119, -1))
    assert sum(path.stat().st_size for path in (tmp_path / "inspections").iterdir()) <= 20 * line


def test_half_a_line_that_a_power_failure_left_costs_no_other(tmp_path):
    log = log_in(tmp_path)
    log.append(numbered(1))
    with (tmp_path / "inspections" / "inspections.jsonl").open("ab") as file:
        file.write(numbered(2).to_line()[:50])
    log.append(numbered(3))

    assert numbers(log) == [3, 1]


@pytest.mark.parametrize("line", [b"\0\0\xff", b"[1]", b"[" * 200_000], ids=["bytes", "a list", "lists in lists"])
def test_a_line_that_is_no_inspection_costs_no_other(tmp_path, line):
    log = log_in(tmp_path)
    log.append(numbered(1))
    with (tmp_path / "inspections" / "inspections.jsonl").open("ab") as file:
        file.write(line + b"\n")
    log.append(numbered(2))

    assert numbers(log) == [2, 1]


def test_the_disk_keeps_its_reserve(tmp_path):
    log = InspectionLog(tmp_path / "inspections", most_bytes=10**6, reserve_bytes=2**62)
    with pytest.raises(StoreFull):
        log.append(numbered(1))


def test_a_folder_that_can_not_be_written_is_an_error_of_ours(tmp_path):
    (tmp_path / "inspections").write_text("in the way")
    with pytest.raises(BackendDown):
        log_in(tmp_path).append(numbered(1))

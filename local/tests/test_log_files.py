"""Log files are cut while others write to them."""

from __future__ import annotations

import pytest

from local.log_files import LogFiles

ROOM = 60_000


@pytest.fixture
def logs(tmp_path):
    return LogFiles(tmp_path, ROOM, parts=2)


def total(folder) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_all_files_together_stay_within_the_room_and_no_line_is_lost_on_the_way(logs, tmp_path):
    lines = [b"line %05d\n" % n for n in range(20_000)]
    with logs.open("api") as api, logs.open("worker") as worker:
        for start in range(0, len(lines), 100):
            for log in (api, worker):
                log.write(b"".join(lines[start : start + 100]))
                log.flush()
            logs.cut()
            assert total(tmp_path) <= ROOM

    kept = ((tmp_path / "api.log.1").read_bytes() + (tmp_path / "api.log").read_bytes()).splitlines(keepends=True)
    assert kept == lines[-len(kept) :]
    assert sum(map(len, kept)) > ROOM / 2 / 3


def test_of_what_came_too_fast_the_last_whole_lines_are_kept(logs, tmp_path):
    """Otherwise one fast minute would have to be copied whole, on a disk that it has filled."""
    with logs.open("api") as api:
        api.write(b"".join(b"line %05d\n" % n for n in range(100_000)))
    logs.cut()

    kept = (tmp_path / "api.log.1").read_bytes().splitlines()
    assert kept[-1] == b"line 99999"
    assert kept[0].startswith(b"line ")
    assert total(tmp_path) <= ROOM / 2


def test_a_log_that_cannot_be_copied_is_cut_all_the_same(logs, tmp_path, capsys):
    (tmp_path / "api.log.1").mkdir()
    with logs.open("api") as api:
        api.write(b"x" * ROOM)
    logs.cut()

    assert (tmp_path / "api.log").stat().st_size == 0
    assert capsys.readouterr().out.startswith("what api.log held can't be kept: ")


def test_a_log_that_somebody_deletes_at_the_wrong_moment_does_not_end_the_service(logs, tmp_path):
    (tmp_path / "api.log").symlink_to("nowhere")  # it is listed, and then it is not there
    logs.cut()


def test_logs_of_parts_that_there_are_no_more_are_deleted_at_the_start(logs, tmp_path):
    """After a run with many workers, one with few has all the room."""
    for name in ("worker-9.log", "worker-9.log.1"):
        (tmp_path / name).touch()
    logs.clear()

    assert list(tmp_path.iterdir()) == []

"""How much memory is left, by what the system says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from model.memory import room_bytes

if TYPE_CHECKING:
    from pathlib import Path

MEMINFO = "MemTotal:  4000 kB\nMemFree:  100 kB\nMemAvailable:  3000 kB\n"


@pytest.fixture
def group(tmp_path: Path) -> Path:
    """A control group with 1 MB of its 2 MB taken, half of that by cached files."""
    (tmp_path / "memory.max").write_text("2000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    (tmp_path / "memory.stat").write_text("anon 500000\ninactive_file 500000\n")
    return tmp_path


@pytest.fixture
def older_group(tmp_path: Path) -> Path:
    """The same, as version 1 of control groups says it to a container."""
    folder = tmp_path / "memory"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text("2000000\n")
    (folder / "memory.usage_in_bytes").write_text("1000000\n")
    (folder / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 500000\n")
    return tmp_path


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text(MEMINFO)
    return path


def test_cached_files_are_room_that_is_given_back(group, tmp_path):
    assert room_bytes(group, tmp_path / "none") == 1_500_000


def test_older_control_groups_say_it_in_another_place(older_group, tmp_path):
    """Otherwise a container of an older engine would be killed at a reload which it should have refused."""
    assert room_bytes(older_group, tmp_path / "none") == 1_500_000


def test_an_older_group_without_a_limit_leaves_what_the_machine_has(older_group, meminfo):
    (older_group / "memory" / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")

    assert room_bytes(older_group, meminfo) == 3000 * 1024


def test_the_smaller_room_of_machine_and_control_group_counts(group, meminfo):
    assert room_bytes(group, meminfo) == 1_500_000

    meminfo.write_text("MemAvailable: 1 kB\n")
    assert room_bytes(group, meminfo) == 1024


def test_a_group_without_a_limit_leaves_what_the_machine_has(group, meminfo):
    (group / "memory.max").write_text("max\n")

    assert room_bytes(group, meminfo) == 3000 * 1024


@pytest.mark.parametrize("text", ["", "MemFree: 1 kB\n", "MemAvailable: much kB\n"])
def test_where_nothing_says_so_nothing_is_known(tmp_path, text):
    (tmp_path / "meminfo").write_text(text)

    assert room_bytes(tmp_path / "none", tmp_path / "meminfo") is None

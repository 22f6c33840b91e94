"""A disk that is said to be full has to be so: otherwise its fault would pass without having been one."""

from __future__ import annotations

import os

import pytest

from stress_test.small_disk import SmallDisk


@pytest.fixture
def disk(tmp_path):
    if os.geteuid() != 0 or not SmallDisk.possible(tmp_path):
        pytest.skip("only root may mount, and not everywhere")
    disk = SmallDisk(tmp_path / "disk")
    disk.mount()
    yield disk
    disk.unmount()


def test_a_full_disk_takes_nothing_until_it_is_emptied(disk, tmp_path):
    picture = tmp_path / "disk" / "picture"
    with disk.full(), pytest.raises(OSError, match="No space left"):
        picture.write_bytes(bytes(10_000))
    picture.write_bytes(bytes(10_000))


def test_a_read_only_disk_can_be_read(disk, tmp_path):
    picture = tmp_path / "disk" / "picture"
    picture.write_bytes(b"seen")
    with disk.read_only():
        assert picture.read_bytes() == b"seen"
        with pytest.raises(OSError, match="Read-only"):
            picture.write_bytes(b"other")
    picture.write_bytes(b"other")

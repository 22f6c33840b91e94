from __future__ import annotations

import errno
import shutil
import tempfile
from collections import namedtuple
from typing import TYPE_CHECKING

import pytest

from local.preflight import CannotStart, check
from local.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO


def free(monkeypatch, megabytes):
    usage = namedtuple("usage", "total used free")  # noqa: PYI024  # as shutil's
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, megabytes * 1_000_000))


def test_a_full_disk_is_found_before_anything_starts(tmp_path, monkeypatch):
    """Half-started on a full disk, the queue would refuse every request later on."""
    free(monkeypatch, 0)
    settings = Settings(data_dir=tmp_path, model_path=tmp_path, port=65535)

    with pytest.raises(CannotStart, match=r"the disk of DATA_DIR=.* is full: 0 MB free"):
        check(settings)


def test_the_disk_needs_its_reserve_the_room_for_logs_and_some_for_uploads(tmp_path, monkeypatch):
    """With less, the service would start and refuse every upload."""
    settings = Settings(data_dir=tmp_path, model_path=tmp_path, port=65535, disk_reserve_mb=1000, log_mb=50)
    free(monkeypatch, 1149)
    with pytest.raises(CannotStart, match=r"1149 MB free, 1150 needed \(DISK_RESERVE_MB=1000, LOG_MB=50, and 100\)$"):
        check(settings)

    free(monkeypatch, 1150)
    check(settings)


@pytest.mark.parametrize("host", ["::", "192.0.2.1", "nowhere.invalid"])
def test_an_address_that_is_not_this_machines_is_named_as_the_fault(tmp_path, host):
    """Another port would not help. No machine has 192.0.2.1 (RFC 5737), or a name under .invalid (RFC 6761)."""
    settings = Settings(host=host, data_dir=tmp_path, model_path=tmp_path, port=65535)

    with pytest.raises(CannotStart, match=f"^HOST={host} is not an IPv4 address or name of this machine$"):
        check(settings)


@pytest.mark.parametrize("name", ["", "logs", "queue"], ids=["data", "logs", "queue"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch, name):
    """A read-only disk, or a folder that root once made. Valkey would end with a line about a file of its own."""
    make_file = tempfile.NamedTemporaryFile

    def read_only(*, dir: Path) -> IO[bytes]:  # noqa: A002  # as tempfile's
        if dir == tmp_path / name:
            raise OSError(errno.EROFS, "Read-only file system")
        return make_file(dir=dir)

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", read_only)
    settings = Settings(data_dir=tmp_path, model_path=tmp_path, port=65535)

    with pytest.raises(CannotStart, match=f"{tmp_path / name} can't be written: Read-only file system$"):
        check(settings)

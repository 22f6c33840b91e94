"""Pictures are nobody else's business, on a machine with other users too."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from contract.copy_store import CopyStore
from contract.image_store import ImageStore
from contract.private_files import tighten, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=[0o000, 0o022, 0o077])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> set[tuple[bool, int]]:
    return {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in [folder, *folder.rglob("*")]}


@pytest.mark.usefixtures("_umask")
def test_what_is_stored_is_for_its_owner_alone_whatever_the_umask(tmp_path):
    folder = tmp_path / "data"
    store = ImageStore.bounded(folder / "uploads", most_bytes=10**6, reserve_bytes=0)
    CopyStore(folder / "copies").put(store.put(b"a picture"), b"its copy")

    assert modes(folder) == {(True, 0o700), (False, 0o600)}


def test_a_file_that_is_replaced_is_for_its_owner_alone_too(tmp_path):
    (tmp_path / "secret").write_bytes(b"an older one")
    (tmp_path / "secret").chmod(0o644)
    write_file(tmp_path / "secret", b"new")

    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert (tmp_path / "secret").read_bytes() == b"new"


def test_folders_that_an_older_version_left_open_are_closed(tmp_path):
    shard = tmp_path / "uploads" / "ab"
    shard.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "uploads" / "cd").symlink_to(tmp_path / "elsewhere")
    for path in (shard, shard.parent, tmp_path / "elsewhere"):
        path.chmod(0o755)
    tighten([shard.parent, tmp_path / "missing"])

    assert stat.S_IMODE(shard.stat().st_mode) == stat.S_IMODE(shard.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o755

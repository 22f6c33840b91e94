"""Copies, in a folder where a worker that was taken over has put something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.copy_store import CopyStore
from contract.errors import PictureNotFound

NAME = "ab" * 32
SHARD = 0xAB


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _link_for_a_folder(folder: Path) -> None:
    (folder / "ab").symlink_to(folder.parent)


def _file_for_a_folder(folder: Path) -> None:
    (folder / "ab").write_bytes(b"")


def _folder_for_a_copy(folder: Path) -> None:
    (folder / "ab" / NAME).mkdir(parents=True)


@pytest.mark.parametrize("put", [_link_for_a_folder, _file_for_a_folder, _folder_for_a_copy])
def test_what_is_no_copy_is_not_shown_and_keeps_nobody_from_counting_and_deleting(tmp_path, put):
    """Otherwise old pictures would stay for ever, and new ones find no room."""
    folder = tmp_path / "copies"
    folder.mkdir()
    put(folder)
    store, before = CopyStore(folder), open_files()
    with pytest.raises(PictureNotFound):
        store.open(NAME)
    store.tidy(SHARD)
    store.shard_bytes(SHARD)

    assert [store.remove(name) for name in {NAME, *store.names(NAME)}] == [0]
    assert open_files() == before

"""Clean copies of pictures, made by workers to be shown, and such with objects drawn on them.

A picture's clean copy has the picture's name; a drawn picture's begins with that, so that all go with their picture.

Only workers write here, and they read strangers' pictures: whoever reads must not be led out of the folder by a link.
So every name is opened below a folder that is open already, and no link is followed. And what a worker that was taken
over has put in the place of a folder or of a copy is no copy: it must not keep anybody from deleting pictures.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Protocol
from uuid import uuid4

from contract.errors import PictureNotFound
from contract.image_header import media_type
from contract.image_store import UNFINISHED
from contract.private_files import FILE_MODE, make_folder
from contract.store_room import room_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PICTURE_DIGITS = 64
NAME = re.compile(r"[0-9a-f]{64}(-[0-9a-f]{64})?")  # ``CopyJob.copy_name`` and ``DrawJob.copy_name``
UNFINISHED_FOR_S = 60.0  # at most; then whoever wrote it is dead
MEDIA_TYPES = {"image/jpeg", "image/png"}
HEADER_BYTES = 4096  # enough to tell one of these
NO_FOLDER = (FileNotFoundError, NotADirectoryError)  # the second: a file, or a link
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Copies(Protocol):
    """Copies wherever they are. Every method may raise OSError, or BackendDown where they are in a bucket."""

    def put(self, name: str, copy: bytes) -> None:
        """Store a copy; nobody sees half of it."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """A copy as a file.

        Raises:
            PictureNotFound: there is none, or something that is no copy.
        """
        ...

    def remove(self, name: str) -> int:
        """Delete a copy, if there is one; returns the bytes that it took."""
        ...

    def names(self, picture: str) -> list[str]:
        """Those of all copies of a picture, drawn ones too, the oldest first."""
        ...

    def is_writable(self) -> bool:
        """Whether copies can be stored."""
        ...


class CopyStore:
    """A folder of copies, spread over 256 subfolders by the first two digits of their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, copy: bytes) -> None:
        """Store a copy; the complete file appears by a rename.

        Raises:
            OSError: the folder can't be written.
        """
        shard = self._folder / name[:2]
        make_folder(shard)
        with _open_folder(shard) as folder:
            part = UNFINISHED + uuid4().hex
            file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE, dir_fd=folder)
            try:
                with open(file, "wb") as opened:  # noqa: PTH123  a descriptor has no path
                    opened.write(copy)
                os.replace(part, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(part, dir_fd=folder)
                raise

    def open(self, name: str) -> IO[bytes]:
        """A copy as a file.

        Raises:
            PictureNotFound: there is none, or something that is no copy.
        """
        missing = PictureNotFound("there is no copy of this picture yet")
        if not NAME.fullmatch(name):
            raise missing
        try:
            with _open_folder(self._folder / name[:2]) as folder:
                descriptor = os.open(name, _FILE, dir_fd=folder)
        except OSError as error:
            raise missing from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise missing
        file = open(descriptor, "rb")  # noqa: PTH123, SIM115  a descriptor has no path; the caller closes it
        if media_type(file.read(HEADER_BYTES)) not in MEDIA_TYPES:
            file.close()
            raise missing
        file.seek(0)
        return file

    def remove(self, name: str) -> int:
        """Delete a copy, if there is one.

        Returns:
            The disk space that it took, in bytes.

        Raises:
            OSError: it can't be deleted.
        """
        try:
            with _open_folder(self._folder / name[:2]) as folder:
                freed = room_for(os.stat(name, dir_fd=folder, follow_symlinks=False).st_size)
                os.unlink(name, dir_fd=folder)
        except (*NO_FOLDER, IsADirectoryError):
            return 0
        return freed

    def pictures(self, shard: int) -> set[str]:
        """Of which there are copies in one subfolder, 0 to 255."""
        return {name[:PICTURE_DIGITS] for name in self._names(f"{shard:02x}")}

    def names(self, picture: str) -> list[str]:
        """Those of all copies of a picture, drawn ones too, the oldest first."""
        found = [name for name in self._names(picture[:2]) if name.startswith(picture)]
        return sorted(found, key=self._stored_at_ns)

    def _names(self, subfolder: str) -> list[str]:
        with suppress(*NO_FOLDER), _open_folder(self._folder / subfolder) as folder:
            return [name for name in os.listdir(folder) if NAME.fullmatch(name)]  # noqa: PTH208  a descriptor
        return []

    def _stored_at_ns(self, name: str) -> int:
        with suppress(*NO_FOLDER), _open_folder(self._folder / name[:2]) as folder:
            return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime_ns
        return 0

    def tidy(self, shard: int) -> None:
        """Clear one subfolder of what died workers have left.

        Raises:
            OSError: that failed.
        """
        oldest = time.time() - UNFINISHED_FOR_S
        with suppress(*NO_FOLDER), _open_folder(self._folder / f"{shard:02x}") as folder:
            for name in os.listdir(folder):  # noqa: PTH208  a descriptor
                with suppress(FileNotFoundError, IsADirectoryError):
                    if (
                        not NAME.fullmatch(name)
                        and os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime < oldest
                    ):
                        os.unlink(name, dir_fd=folder)

    def shard_bytes(self, shard: int) -> int:
        """Disk space of the files of one subfolder, in bytes."""
        total = 0
        with suppress(*NO_FOLDER), _open_folder(self._folder / f"{shard:02x}") as folder:
            for name in os.listdir(folder):  # noqa: PTH208  a descriptor
                with suppress(FileNotFoundError):
                    total += room_for(os.stat(name, dir_fd=folder, follow_symlinks=False).st_size)
        return total

    def is_writable(self) -> bool:
        """Whether copies can be stored, tried with a small file."""
        try:
            make_folder(self._folder)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=UNFINISHED) as probe:
                probe.write(b"\0")
        except OSError:
            return False
        return True


@contextmanager
def _open_folder(folder: Path) -> Iterator[int]:
    """Raises OSError: it is not there, or is no folder."""
    descriptor = os.open(folder, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)

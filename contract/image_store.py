"""Encoded pictures on a shared volume, each stored once, named by the SHA-256 of its bytes. Nothing is decoded here."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING
from uuid import uuid4

from contract.errors import BackendDown, PictureNotFound

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

NAME = re.compile(r"[0-9a-f]{64}")
SHARDS = 256
BLOCK_BYTES = 4096  # of the usual file systems
NOT_FOUND = "there is no such picture here; it may have been removed since"
COMPARED_BYTES = 256 * 1024
UNFINISHED = ".part-"  # prefix of a file that is still being written


def room_for(size_bytes: int) -> int:
    """Disk space of a file of that size, in bytes, at least a block: a limit in bytes also limits tiny files."""
    return max(BLOCK_BYTES, size_bytes)


class ImageStore:
    """A folder of pictures, spread over 256 subfolders by the first two digits of their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes, *, durable: bool = False) -> str:
        """Store a picture, or refresh the age of the same picture stored before; returns its name.

        A reader never sees half a picture: the complete file appears by a rename.

        Args:
            durable: wait for the disk, and return once the picture would survive a power failure.

        Raises:
            BackendDown: the folder can't be written.
        """
        name = hashlib.sha256(data).hexdigest()
        path = self._path(name)
        try:
            if not _refresh(path, data, durable=durable):
                _write(path, data, durable=durable)
            if durable:  # the names too: the file's, and its subfolder's
                _sync(path.parent)
                _sync(self._folder)
        except OSError as error:
            raise BackendDown(f"pictures can't be stored: {error.strerror}") from error
        return name

    def read(self, name: str) -> bytes:
        """The bytes of a stored picture, which are those that its name stands for.

        Raises:
            PictureNotFound: no picture has this name, or can have it; or the disk holds other bytes under it, which the
                next ``put`` of the picture replaces.
        """
        if not NAME.fullmatch(name):
            raise PictureNotFound(NOT_FOUND)
        try:
            data = self._path(name).read_bytes()
        except FileNotFoundError as error:
            raise PictureNotFound(NOT_FOUND) from error
        if hashlib.sha256(data).hexdigest() != name:
            log.error("the file of picture %s holds something else: it is not used", name)
            raise PictureNotFound(NOT_FOUND)
        return data

    def open(self, name: str) -> IO[bytes]:
        """A stored picture as a file, once its bytes have been found to be those that its name stands for.

        It is read twice, piece by piece: whoever sends a large picture on needs no more memory than a piece.

        Raises:
            PictureNotFound: as ``read``.
        """
        if not NAME.fullmatch(name):
            raise PictureNotFound(NOT_FOUND)
        try:
            file = self._path(name).open("rb")
        except FileNotFoundError as error:
            raise PictureNotFound(NOT_FOUND) from error
        if hashlib.file_digest(file, "sha256").hexdigest() != name:
            file.close()
            log.error("the file of picture %s holds something else: it is not used", name)
            raise PictureNotFound(NOT_FOUND)
        file.seek(0)
        return file

    def __contains__(self, name: object) -> bool:
        """Whether a picture has this name; False for anything that can't be a name."""
        return isinstance(name, str) and NAME.fullmatch(name) is not None and self._path(name).is_file()

    def size_bytes(self) -> int:
        """Disk space of all files here (``room_for``), in bytes. It looks at each of them."""
        total = 0
        for shard in range(SHARDS):
            folder = self._folder / f"{shard:02x}"
            if not folder.is_dir():
                continue
            with os.scandir(folder) as files:
                for file in files:
                    with suppress(FileNotFoundError):  # just renamed or deleted
                        total += room_for(file.stat().st_size)
        return total

    def expire(self, shard: int, older_than_s: float) -> int:
        """Delete the pictures (and abandoned writes) of one subfolder last stored over ``older_than_s`` seconds ago.

        Args:
            shard: which subfolder, 0 to ``SHARDS`` - 1; one at a time, so that no call takes long.

        Returns:
            How many files were deleted.
        """
        oldest = time.time() - older_than_s
        deleted = 0
        for path in (self._folder / f"{shard:02x}").glob("*"):
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
                    deleted += 1
            except FileNotFoundError:
                continue  # another process was faster
        return deleted

    def check_writable(self) -> None:
        """Write and delete a small file.

        Raises:
            BackendDown: that failed.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=UNFINISHED) as probe:
                probe.write(b"\0" * 4096)
        except OSError as error:
            raise BackendDown(f"the upload folder {self._folder} can't be written: {error.strerror}") from error

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name


def _refresh(path: Path, data: bytes, *, durable: bool) -> bool:
    """Refresh a stored picture's age; False if there is none, or one of other bytes, as a power failure leaves it."""
    try:
        if not _holds(path, data):
            return False
        os.utime(path)
        if durable:  # it may have been stored without waiting for the disk
            _sync(path)
    except FileNotFoundError:
        return False
    return True


def _holds(path: Path, data: bytes) -> bool:
    """Whether the file has just these bytes, compared a piece at a time.

    Raises:
        FileNotFoundError: there is none.
    """
    expected = memoryview(data)
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size != len(data):
            return False
        for start in range(0, len(data), COMPARED_BYTES):
            piece = expected[start : start + COMPARED_BYTES]
            if file.read(COMPARED_BYTES) != piece:
                return False
    return True


def _write(path: Path, data: bytes, *, durable: bool) -> None:
    part = path.with_name(UNFINISHED + uuid4().hex)
    try:
        try:
            part.write_bytes(data)
        except FileNotFoundError:  # the first picture of this subfolder
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
        if durable:  # before the rename: a name must not outlive its bytes
            _sync(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk, even if another process wrote them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

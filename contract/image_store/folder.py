"""Encoded pictures in a folder, which may be a shared volume."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from contract.errors import BackendDown, PictureNotFound
from contract.image_store.interface import NAME, NOT_FOUND, other_bytes
from contract.private_files import make_folder, write_file
from contract.store_room import StoreRoom, room_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from io import BufferedReader
    from pathlib import Path

    from contract.image_store.interface import Held

COMPARED_BYTES = 128 * 1024
UNFINISHED = ".part-"  # prefix of a file that is still being written
ASIDE = ".aside-"  # prefix of a picture that is about to be deleted, if nobody needs it
RENEWED_AFTER_S = 15.0  # a picture sent again sooner is young enough
ASIDE_FOR_S = 60.0  # at most; then whoever moved it is dead


class ImageStore:
    """A folder of pictures, spread over 256 subfolders by the first two digits of their names.

    Attributes:
        renewed_after_s: a picture sent again sooner is young enough as it is.
    """

    reads_at_once = 1  # files come from memory mostly

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.room: StoreRoom | None = None
        self.renewed_after_s = RENEWED_AFTER_S

    @classmethod
    def bounded(
        cls, folder: Path, *, most_bytes: int, reserve_bytes: int, beside: Callable[[int], int] = lambda _shard: 0
    ) -> Self:
        """A store of so many bytes at most, which leaves ``reserve_bytes`` free on its disk.

        Args:
            beside: what else counts as a subfolder's, in bytes, by its number.
        """

        def count(shard: int) -> int:
            return store.shard_bytes(shard) + beside(shard)

        store = cls(folder)
        store.room = StoreRoom(folder, most_bytes=most_bytes, reserve_bytes=reserve_bytes, count=count)
        return store

    def put(self, data: bytes, *, durable: bool = False) -> str:
        """Store a picture, or refresh the age of the same picture stored before; returns its name.

        A reader never sees half a picture: the complete file appears by a rename.

        Args:
            durable: wait for the disk, and return once the picture would survive a power failure.

        Raises:
            StoreFull: there is no room for it.
            BackendDown: the folder can't be written.
        """
        name, _ = self.put_and_tell(data, durable=durable)
        return name

    def put_and_tell(self, data: bytes, *, durable: bool = False) -> tuple[str, bool]:
        """As ``put``; also whether that made the picture younger, by more than ``renewed_after_s``."""
        name = hashlib.sha256(data).hexdigest()
        path = self._path(name)
        try:
            renewed = _renew(path, data, self.renewed_after_s, durable=durable)
            if renewed is None:
                self._write(path, data, durable=durable)
            if durable:  # the names too: the file's, and its subfolder's
                _sync(path.parent)
                _sync(self._folder)
        except OSError as error:
            raise BackendDown(
                f"pictures can't be stored: {error.strerror or 'the disk fails'}", cause=str(error)
            ) from error
        return name, renewed is not False

    def read(self, name: str) -> bytes:
        """The bytes of a stored picture, which are those that its name stands for.

        Raises:
            PictureNotFound: no picture has this name, or can have it; or the disk holds other bytes under it, which the
                next ``put`` of the picture replaces.
        """
        try:
            with self._file(name) as file:
                data = file.read()
        except FileNotFoundError as error:
            raise PictureNotFound(NOT_FOUND) from error
        if hashlib.sha256(data).hexdigest() != name:
            raise other_bytes(name)
        return data

    def open(self, name: str) -> BufferedReader:
        """A stored picture as a file, once its bytes have been found to be those that its name stands for.

        It is read twice, piece by piece: whoever sends a large picture on needs no more memory than a piece.

        Raises:
            PictureNotFound: as ``read``.
        """
        try:
            file = self._file(name)
        except FileNotFoundError as error:
            raise PictureNotFound(NOT_FOUND) from error
        if hashlib.file_digest(file, "sha256").hexdigest() != name:
            file.close()
            raise other_bytes(name)
        file.seek(0)
        return file

    def distrust(self, name: str) -> None:
        """A reader has found other bytes: nothing has to be remembered, since every ``put`` compares."""

    def sent_at_ns(self, name: str) -> int | None:
        """When a picture was last sent, in Unix nanoseconds, as its file says; None if there is none."""
        try:
            return self._path(name).stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def size_bytes(self, name: str) -> int:
        """Raises PictureNotFound: no picture has this name."""
        try:
            return self._path(name).stat().st_size
        except FileNotFoundError as error:
            raise PictureNotFound(NOT_FOUND) from error

    def delete(self, name: str) -> int:
        """Delete a picture whoever needs it, if it is there.

        Returns:
            The disk space that it took, in bytes.

        Raises:
            OSError: it can't be moved or deleted.
        """
        freed = 0
        for _ in range(2):  # in between it may have been put back
            freed += self.remove([name], idle_s=float("-inf"), held=lambda _names: ())
            with suppress(FileNotFoundError):  # moved aside by another, who may put it back
                freed += self._delete(self._path(name).with_name(ASIDE + name))
        return freed

    def __contains__(self, name: object) -> bool:
        """Whether a picture has this name; False for anything that can't be a name."""
        return isinstance(name, str) and NAME.fullmatch(name) is not None and self._path(name).is_file()

    def shard_bytes(self, shard: int) -> int:
        """Disk space of the files of one subfolder, 0 to ``SHARDS`` - 1 (``room_for``), in bytes."""
        total = 0
        with suppress(FileNotFoundError), os.scandir(self._shard(shard)) as files:
            for file in files:
                with suppress(FileNotFoundError):  # just renamed or deleted
                    total += room_for(file.stat().st_size)
        return total

    def pictures(self, shard: int) -> list[tuple[float, str]]:
        """When each picture of one subfolder was last sent, in Unix seconds, and its name."""
        found = []
        with suppress(FileNotFoundError), os.scandir(self._shard(shard)) as files:
            for file in files:
                with suppress(FileNotFoundError):
                    if NAME.fullmatch(file.name):
                        found.append((file.stat().st_mtime, file.name))
        return found

    def tidy(self, shard: int) -> None:
        """Clear one subfolder of what died processes have left, and count it anew.

        Raises:
            OSError: that failed.
        """
        now = time.time()
        for path in self._shard(shard).glob(".*"):
            with suppress(FileNotFoundError):
                if path.stat().st_ctime > now - ASIDE_FOR_S:
                    continue
                if path.name.startswith(ASIDE):
                    self._put_back(path)
                else:
                    path.unlink()
        if self.room is not None and self._folder.is_dir():
            self.room.correct(shard)

    def remove(self, names: Sequence[str], *, idle_s: float, held: Held) -> int:
        """Delete those pictures that were last sent over ``idle_s`` seconds ago and that no job needs.

        A picture is first moved aside and then looked at again: whoever sends it meanwhile either has made it young
        before, and it comes back, or finds none and stores another. Aside it can still be read.

        Args:
            idle_s: longer than a request takes from storing a picture to submitting its job.

        Returns:
            The disk space that they took, in bytes.

        Raises:
            BackendDown: ``held`` can't tell, so nothing was deleted.
            OSError: a file can't be moved or deleted.
        """
        needed = held(names)
        aside = [path for name in names if name not in needed and (path := self._set_aside(name, idle_s)) is not None]
        try:
            needed = held([_name(path) for path in aside])
        except BaseException:
            for path in aside:
                with suppress(FileNotFoundError):  # as below
                    self._put_back(path)
            raise
        freed = 0
        for path in aside:
            with suppress(FileNotFoundError):  # somebody wanted it deleted meanwhile
                if _name(path) in needed or _age_s(path) < idle_s:
                    self._put_back(path)
                else:
                    freed += self._delete(path)
        return freed

    def check_readable(self) -> None:
        """A folder is not away: what is not in it is missing."""

    def check_writable(self) -> None:
        """Write and delete a small file.

        Raises:
            BackendDown: that failed.
        """
        try:
            make_folder(self._folder)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=UNFINISHED) as probe:
                probe.write(b"\0" * 4096)
        except OSError as error:
            raise BackendDown("pictures can't be stored: the folder can't be written", cause=str(error)) from error

    def _write(self, path: Path, data: bytes, *, durable: bool) -> None:
        """Write a picture of which there is no file, or one of other bytes."""
        if self.room is None:
            _write(path, data, durable=durable)
            return
        shard = int(path.name[:2], 16)
        self.room.take(shard, len(data))
        replaced = path.stat().st_size if path.exists() else 0
        try:
            _write(path, data, durable=durable)
        except BaseException:
            replaced = len(data)
            raise
        finally:
            if replaced:
                self.room.give_back(shard, replaced)

    def _file(self, name: str) -> BufferedReader:
        """Raises FileNotFoundError: also if no picture can have this name."""
        if not NAME.fullmatch(name):
            raise FileNotFoundError
        path = self._path(name)
        with suppress(FileNotFoundError):
            return path.open("rb")
        with suppress(FileNotFoundError):
            return path.with_name(ASIDE + name).open("rb")
        return path.open("rb")  # it may have been put back in between

    def _set_aside(self, name: str, idle_s: float) -> Path | None:
        path = self._path(name)
        aside = path.with_name(ASIDE + name)
        try:
            if _age_s(path) < idle_s:
                return None
            path.rename(aside)
        except FileNotFoundError:
            return None  # another process was faster
        return aside

    def _put_back(self, aside: Path) -> None:
        path = aside.with_name(_name(aside))
        if path.exists():  # it was stored anew meanwhile
            self._delete(aside)
        else:
            aside.rename(path)

    def _delete(self, aside: Path) -> int:
        freed = room_for(aside.stat().st_size)
        aside.unlink()
        if self.room is not None:
            self.room.give_back(int(_name(aside)[:2], 16), freed)
        return freed

    def _shard(self, shard: int) -> Path:
        return self._folder / f"{shard:02x}"

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name


def _name(aside: Path) -> str:
    return aside.name.removeprefix(ASIDE)


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _renew(path: Path, data: bytes, after_s: float, *, durable: bool) -> bool | None:
    """Make a stored picture young again, unless it is; None if there is none, or one of other bytes.

    A power failure leaves other bytes.
    """
    try:
        if not _holds(path, data):
            return None
        renew = _age_s(path) >= after_s
        if renew:
            os.utime(path)
        if durable:  # it may have been stored without waiting for the disk
            _sync(path)
    except FileNotFoundError:
        return None
    return renew


def _holds(path: Path, data: bytes) -> bool:
    """Whether the file has just these bytes, compared a piece at a time.

    Raises:
        FileNotFoundError: there is none.
    """
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size != len(data):
            return False
        if len(data) <= COMPARED_BYTES:
            return file.read(len(data)) == data
        pieces = range(0, len(data), COMPARED_BYTES)
        # A copy of a piece: bytes are compared with bytes many times faster than with a view of them.
        return all(file.read(COMPARED_BYTES) == data[start : start + COMPARED_BYTES] for start in pieces)


def _write(path: Path, data: bytes, *, durable: bool) -> None:
    part = path.with_name(UNFINISHED + uuid4().hex)
    try:
        try:
            write_file(part, data)
        except FileNotFoundError:  # the first picture of this subfolder
            make_folder(path.parent)
            write_file(part, data)
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

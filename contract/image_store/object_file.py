"""An object of a bucket as a file that is read in pieces, as they are wanted."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from contract.image_store.bucket import Bucket

PIECE_BYTES = 1_000_000  # a request to the store each, and the memory of one who does not read on


class ObjectFile(io.RawIOBase):
    """Every read may raise BackendDown."""

    def __init__(self, bucket: Bucket, path: str, size_bytes: int) -> None:
        super().__init__()
        self._bucket = bucket
        self._path = path
        self._size_bytes = size_bytes
        self._at = 0

    @classmethod
    def buffered(cls, bucket: Bucket, path: str, size_bytes: int) -> io.BufferedReader:
        return io.BufferedReader(cls(bucket, path, size_bytes), PIECE_BYTES)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size_bytes}[whence]
        return self._at

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        length = min(len(view), self._size_bytes - self._at)
        if length <= 0:
            return 0
        data = self._bucket.read_part(self._path, self._at, length)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

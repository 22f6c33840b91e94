"""Encoded pictures in a bucket. How that differs from a folder: docs/decisions/0066."""

from __future__ import annotations

import hashlib
import re
import time
from io import BytesIO
from typing import IO, TYPE_CHECKING

from contract.errors import BackendDown, PictureNotFound
from contract.image_store.interface import NAME, NOT_FOUND, other_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from contract.image_store.bucket import Bucket, Listed
    from contract.image_store.interface import Held

FOLDER = "pictures"  # before all their names, so that a rule of the bucket's can name them
PROBE = f"{FOLDER}/writable"
PROBED = b"what this service writes to learn whether it can\n"
PROBE_EVERY_S = 10.0
MOST_DISTRUSTED = 10_000
_MD5 = re.compile("[0-9a-f]{32}")


class BucketStore:
    """A place in a bucket, for one process; safe to use from many threads at once.

    A picture is stored only where there is none, and over itself if it would soon be too old, or was found bad: storing
    again is what makes an object younger, and costs as much as storing it.
    """

    reads_at_once = 8  # a batch: most of a read is waiting

    def __init__(self, bucket: Bucket, *, renewed_after_s: float = 0.0) -> None:
        self._bucket = bucket
        self.renewed_after_s = renewed_after_s
        self._distrusted: dict[str, None] = {}
        self._tags_are_md5 = True  # until the store gives one that is not
        self._probed_at = float("-inf")
        self._failed: BackendDown | None = None

    def put(self, data: bytes, *, durable: bool = False) -> str:
        """As ``PictureStore.put``; an object store has every object on its disks when it says so."""
        name, _ = self.put_and_tell(data, durable=durable)
        return name

    def put_and_tell(self, data: bytes, *, durable: bool = False) -> tuple[str, bool]:
        del durable
        name = hashlib.sha256(data).hexdigest()
        if self.renewed_after_s > 0 and name not in self._distrusted:
            if self._bucket.create(_path(name), data) is not None:
                return name, True
            if self._is_good(name, data):
                return name, False
        tag = self._bucket.replace(_path(name), data)
        self._tags_are_md5 &= tag == _md5(data)
        self._distrusted.pop(name, None)
        return name, True

    def read(self, name: str) -> bytes:
        data = self._bucket.read(_path(name)) if NAME.fullmatch(name) else None
        if data is None:
            raise PictureNotFound(NOT_FOUND)
        if hashlib.sha256(data).hexdigest() != name:
            self.distrust(name)
            raise other_bytes(name)
        return data

    def open(self, name: str) -> IO[bytes]:
        return BytesIO(self.read(name))

    def distrust(self, name: str) -> None:
        while len(self._distrusted) >= MOST_DISTRUSTED:
            self._distrusted.pop(next(iter(self._distrusted)), None)
        self._distrusted[name] = None

    def sent_at_ns(self, name: str) -> int | None:
        """In whole seconds, where the store tells no more."""
        seen = self._bucket.look(_path(name))
        return None if seen is None else int(seen.stored_at * 1e9)

    def size_bytes(self, name: str) -> int:
        seen = self._bucket.look(_path(name))
        if seen is None:
            raise PictureNotFound(NOT_FOUND)
        return seen.size_bytes

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and NAME.fullmatch(name) is not None and self._bucket.look(_path(name)) is not None

    def pictures(self, shard: int) -> list[tuple[float, str]]:
        pages = self._bucket.pages(f"{FOLDER}/{shard:02x}")
        return [(found.stored_at, found.name) for page in pages for found in page if NAME.fullmatch(found.name)]

    def pages(self) -> Iterator[list[Listed]]:
        """All pictures, in pages, a request to the store each. Raises BackendDown."""
        for page in self._bucket.pages(FOLDER):
            yield [found for found in page if NAME.fullmatch(found.name)]

    def remove(self, names: Sequence[str], *, idle_s: float, held: Held) -> int:
        """As ``PictureStore.remove``. Of each picture both is looked at again just before it is deleted.

        Between that look and the deletion, a round trip, somebody may store it again: a job of it then ends as lost.
        """
        needed = held(names)
        freed = 0
        for name in names:
            if name in needed or held([name]):
                continue
            seen = self._bucket.look(_path(name))
            if seen is not None and time.time() - seen.stored_at >= idle_s:
                self._bucket.delete(_path(name))
                freed += seen.size_bytes
        return freed

    def delete(self, name: str) -> int:
        seen = self._bucket.look(_path(name))
        if seen is None:
            return 0
        self._bucket.delete(_path(name))
        return seen.size_bytes

    def check_readable(self) -> None:
        """Ask for what the API has stored to try it; that it is not there yet is an answer, too."""
        self._bucket.read(PROBE)

    def check_writable(self) -> None:
        """Store a small object over itself, unless that was done just before: health is asked for by many.

        Raises:
            BackendDown: it can't be stored, or could not just before.
        """
        if time.monotonic() - self._probed_at > PROBE_EVERY_S:
            self._failed = None
            try:
                self._bucket.replace(PROBE, PROBED)
            except BackendDown as error:
                self._failed = error
            self._probed_at = time.monotonic()
        if self._failed is not None:
            raise self._failed

    def _is_good(self, name: str, data: bytes) -> bool:
        """Whether what is stored is young enough and, as far as the store tells, the picture."""
        seen = self._bucket.look(_path(name))
        if seen is None or seen.size_bytes != len(data):
            return False
        tells = self._tags_are_md5 and _MD5.fullmatch(seen.tag)
        return time.time() - seen.stored_at < self.renewed_after_s and (not tells or seen.tag == _md5(data))


def _path(name: str) -> str:
    return f"{FOLDER}/{name[:2]}/{name}"


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()

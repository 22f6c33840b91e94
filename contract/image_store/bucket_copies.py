"""Clean copies of pictures in a bucket, in a place of their own: a picture's is named as the picture is.

Those with objects drawn on them are apart, those of a picture together: a store lists what has a folder in common.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from contract.copy_store import HEADER_BYTES, MEDIA_TYPES, NAME, PICTURE_DIGITS
from contract.errors import BackendDown, PictureNotFound, StoreMisused
from contract.image_header import media_type
from contract.image_store.object_file import ObjectFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.image_store.bucket import Bucket, Listed

FOLDER = "copies"
DRAWN = f"{FOLDER}/drawn"
PROBE = f"{FOLDER}/writable"
MOST_BYTES = 64_000_000  # no copy has a side above 4096; workers write here, and they read strangers' pictures


class BucketCopies:
    """As ``CopyStore``, in a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def put(self, name: str, copy: bytes) -> None:
        self._bucket.replace(_path(name), copy)

    def open(self, name: str) -> IO[bytes]:
        missing = PictureNotFound("there is no copy of this picture yet")
        seen = self._bucket.look(_path(name)) if NAME.fullmatch(name) else None
        if seen is None or seen.size_bytes > MOST_BYTES:
            raise missing
        file = ObjectFile.buffered(self._bucket, _path(name), seen.size_bytes)
        if media_type(file.read(HEADER_BYTES)) not in MEDIA_TYPES:
            raise missing
        file.seek(0)
        return file

    def remove(self, name: str) -> int:
        seen = self._bucket.look(_path(name)) if NAME.fullmatch(name) else None
        if seen is None:
            return 0
        self._bucket.delete(_path(name))
        return seen.size_bytes

    def names(self, picture: str) -> list[str]:
        """As ``Copies.names``: two requests to the store."""
        drawn = [found for page in self._bucket.pages(f"{DRAWN}/{picture}") for found in page]
        found = [(copy.stored_at, copy.name) for copy in drawn if NAME.fullmatch(copy.name)]
        clean = self._bucket.look(_path(picture))
        if clean is not None:
            found.append((clean.stored_at, picture))
        return [name for _, name in sorted(found)]

    def is_writable(self) -> bool:
        """True if the bucket is merely away: a job for a copy waits until it is back."""
        try:
            self._bucket.replace(PROBE, b"")
        except StoreMisused:
            return False
        except BackendDown:
            pass
        return True

    def pages(self) -> Iterator[list[Listed]]:
        """All copies, in pages, a request to the store each. Raises BackendDown."""
        for page in self._bucket.pages(FOLDER):
            yield [found for found in page if NAME.fullmatch(found.name)]


def _path(name: str) -> str:
    if len(name) > PICTURE_DIGITS:
        return f"{DRAWN}/{name[:PICTURE_DIGITS]}/{name}"
    return f"{FOLDER}/{name[:2]}/{name}"

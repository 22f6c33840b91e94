"""The pictures that reports name, kept beside the reports: the upload folder deletes them after retention."""

from __future__ import annotations

import logging
import time
from typing import IO, TYPE_CHECKING

from contract.errors import BackendDown, PictureNotFound
from contract.image_store import ImageStore, room_for

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

COUNTED_FOR_S = 10.0  # other processes keep pictures too; looking at every file for each report would cost more


class ReportedPictures:
    """Copies of reported pictures in ``folder/pictures``, up to a number of bytes; nothing here deletes them.

    Why copies, and why bounded: docs/decisions/0008-reports-keep-their-pictures.md.
    """

    def __init__(self, folder: Path, uploads: ImageStore, most_bytes: int) -> None:
        self._uploads = uploads
        self._kept = ImageStore(folder / "pictures")
        self._most_bytes = most_bytes
        self._bytes = 0
        self._counted_at = float("-inf")

    def keep(self, name: str) -> None:
        """Keep the picture that a report names, if there is one and there is room.

        Nothing is raised: a report is worth storing without its picture.
        """
        if name in self._kept or name not in self._uploads:
            return
        try:
            picture = self._uploads.read(name)
            room = room_for(len(picture))
            if self._count() + room > self._most_bytes:
                log.warning("FEEDBACK_PICTURES_MB leaves no room to keep the reported picture %s", name)
                return
            self._kept.put(picture)
            self._bytes += room
        except (OSError, BackendDown, PictureNotFound) as error:
            log.warning("the reported picture %s can't be kept: %s", name, error)

    def open(self, name: str) -> IO[bytes]:
        """A picture as a file, kept or still among the uploads.

        Raises:
            PictureNotFound: no picture has this name (any more).
        """
        try:
            return self._kept.open(name)
        except PictureNotFound:
            return self._uploads.open(name)

    def read(self, name: str) -> bytes:
        """The bytes of a picture, kept or still among the uploads.

        Raises:
            PictureNotFound: no picture has this name (any more).
        """
        try:
            return self._kept.read(name)
        except PictureNotFound:
            return self._uploads.read(name)

    def __contains__(self, name: object) -> bool:
        """Whether the picture is kept here; it may be among the uploads as well, or only there."""
        return name in self._kept

    def _count(self) -> int:
        """Bytes kept, to within what other processes have kept in the last ``COUNTED_FOR_S`` seconds."""
        if time.monotonic() - self._counted_at > COUNTED_FOR_S:
            self._bytes, self._counted_at = self._kept.size_bytes(), time.monotonic()
        return self._bytes

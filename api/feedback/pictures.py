"""The pictures that reports or inspections name, kept beside these: the upload folder deletes them after retention."""

from __future__ import annotations

import logging
from typing import IO, TYPE_CHECKING

from contract.errors import BackendDown, PictureNotFound, StoreFull
from contract.image_store import ImageStore

if TYPE_CHECKING:
    from pathlib import Path

    from contract.image_store import PictureStore

log = logging.getLogger(__name__)


class ReportedPictures:
    """Copies of such pictures in ``folder/pictures``, up to a number of bytes; none goes unless somebody wants that.

    Why copies, and why bounded: docs/decisions/0008-reports-keep-their-pictures.md.
    """

    def __init__(self, folder: Path, uploads: PictureStore, *, most_bytes: int, reserve_bytes: int) -> None:
        self._uploads = uploads
        self.folder = folder / "pictures"
        self.store = ImageStore.bounded(self.folder, most_bytes=most_bytes, reserve_bytes=reserve_bytes)

    def keep(self, name: str) -> None:
        """Keep the picture of this name, if there is one and there is room; one that is kept becomes young again.

        Nothing is raised: a report or an inspection is worth storing without its picture.
        """
        try:
            if name not in self._uploads:
                return
            self._put(self._uploads.read(name))
            if name not in self._uploads:  # deleted meanwhile, and whoever did that may not have seen this one
                self.delete(name)
        except StoreFull:
            log.warning("there is no room in %s, or on its disk, to keep the picture %s", self.folder, name)
        except (OSError, BackendDown, PictureNotFound) as error:
            log.warning("the picture %s can't be kept: %s", name, error)

    def delete(self, name: str) -> None:
        """Delete the kept picture, if it is here.

        Raises:
            OSError: it can't be moved or deleted.
        """
        self.store.delete(name)

    def open(self, name: str) -> IO[bytes]:
        """A picture as a file, kept or still among the uploads.

        Raises:
            PictureNotFound: no picture has this name (any more).
        """
        try:
            return self.store.open(name)
        except PictureNotFound:
            return self._uploads.open(name)

    def read(self, name: str) -> bytes:
        """The bytes of a picture, kept or still among the uploads.

        Raises:
            PictureNotFound: no picture has this name (any more).
        """
        with self.open(name) as file:
            return file.read()

    def _put(self, data: bytes) -> None:
        """Raises StoreFull: there is no room. BackendDown: the folder can't be written."""
        self.store.put(data)

    def __contains__(self, name: object) -> bool:
        """Whether the picture is kept here; it may be among the uploads as well, or only there."""
        return name in self.store

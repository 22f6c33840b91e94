"""The pictures of inspections, and the latest one, with what was found drawn on them."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from contract.errors import PictureNotFound
from contract.image_store import NOT_FOUND

if TYPE_CHECKING:
    from api.core.client import Client
    from api.core.drawn_pictures import DrawnPictures
    from api.core.uploads import Uploads
    from api.inspection.latest import LatestPicture
    from api.inspection.pictures import InspectedPictures
    from api.inspection.record import Inspection


class DrawnInspections:
    """One per API process.

    For a worker to see it, a picture is among the uploads once more, as if it had been sent again.

    Args:
        pictures: where inspections keep theirs, which workers do not see.
        latest: which they do not see either.
    """

    def __init__(
        self, uploads: Uploads, pictures: InspectedPictures, latest: LatestPicture, drawn: DrawnPictures
    ) -> None:
        self._uploads = uploads
        self._pictures = pictures
        self._latest = latest
        self._drawn = drawn

    def open(self, inspection: Inspection, client: Client, media_type: str) -> IO[bytes]:
        """The picture of an inspection with all its objects, as a file.

        Raises:
            PictureNotFound: it is not kept (any more).
            OverShare, StoreFull, BackendDown: it can't be put there now.
            ServiceError: as ``DrawnPictures.open``.
        """
        image = self._pictures.store.read(inspection.picture)
        with self._uploads.holding(image, client.sender) as picture:
            if picture not in self._pictures:  # deleted meanwhile, and whoever did that has not seen this one
                self._uploads.delete(picture)
                raise PictureNotFound(NOT_FOUND)
            return self._drawn.open(picture, inspection.detection, client, media_type)

    def open_latest(self, client: Client, media_type: str) -> IO[bytes] | None:
        """As ``open``, the picture that was inspected last with the objects that counted; None if there is none."""
        with self._latest.staying() as latest:
            if latest is None:
                return None
            with latest.file as file:
                picture = self._uploads.put(file.read(), client.sender)
        try:
            return self._drawn.open(picture, latest.found, client, media_type)
        finally:
            self._uploads.finished(picture)

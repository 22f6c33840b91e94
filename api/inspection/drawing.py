"""The pictures of inspections with what was found drawn on them."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from contract.errors import PictureNotFound
from contract.image_store import NOT_FOUND

if TYPE_CHECKING:
    from api.core.client import Client
    from api.core.drawn_pictures import DrawnPictures
    from api.core.uploads import Uploads
    from api.feedback.pictures import ReportedPictures
    from api.inspection.record import Inspection


class DrawnInspections:
    """One per API process.

    Args:
        pictures: where inspections keep theirs, which workers do not see.
    """

    def __init__(self, uploads: Uploads, pictures: ReportedPictures, drawn: DrawnPictures) -> None:
        self._uploads = uploads
        self._pictures = pictures
        self._drawn = drawn

    def open(self, inspection: Inspection, client: Client, media_type: str) -> IO[bytes]:
        """The picture of an inspection with all its objects, as a file.

        For that the picture is among the uploads once more, as if it had been sent again.

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

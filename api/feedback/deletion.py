"""Deleting a picture and all that the service has of it, because its sender or an operator wants that."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from api.core.errors import NoWorker
from contract import deleted_pictures
from contract.errors import BackendDown
from contract.worker_registry import ALIVE_FOR_S

if TYPE_CHECKING:
    from redis import Redis

    from api.core.uploads import Uploads

log = logging.getLogger(__name__)


class KeptPictures(Protocol):
    """Where pictures are kept beside the uploads."""

    def delete(self, name: str, /) -> None:
        """Delete the picture of this name, if it is here.

        Raises:
            OSError: it can't be deleted.
        """


class Deletion:
    """One per API process."""

    def __init__(self, redis: Redis, uploads: Uploads, *kept: KeptPictures) -> None:
        self._redis = redis
        self._uploads = uploads
        self._kept = kept

    def delete(self, picture: str) -> None:
        """Delete a picture, all copies of it, also those of reports and inspections, and its answers; its jobs end so.

        Doing it again changes nothing. Reports and inspections stay, without their picture.

        Raises:
            BackendDown: Redis or the disk fails; what is left goes when it is asked for again.
            NoWorker: only its answers may be left, until then.
        """
        # First: no worker may tell or keep an answer after this.
        answers_too = deleted_pictures.delete(self._redis, picture)
        try:
            self._uploads.delete(picture)
            for pictures in self._kept:
                pictures.delete(picture)
            self._uploads.delete(picture)  # what was kept may have been put there meanwhile, to be drawn on
        except OSError as error:
            raise BackendDown("the picture can't be deleted at the moment", cause=str(error)) from error
        log.info("picture %s was deleted as asked", picture)
        if not answers_too:
            raise NoWorker(
                "the picture is deleted; its stored answers are not found while no worker is ready: delete it again",
                ALIVE_FOR_S,
            )

"""Stored pictures as they are shown: clean copies, which a worker makes when one is first asked for."""

from __future__ import annotations

from contextlib import suppress
from typing import IO, TYPE_CHECKING

from api.core.errors import NoWorker
from contract.errors import PictureNotFound
from contract.image_store import NOT_FOUND
from contract.messages import CopyJob
from contract.worker_registry import ALIVE_FOR_S

if TYPE_CHECKING:
    from api.core.client import Client
    from api.core.copy_making import CopyMaking
    from api.core.live_workers import LiveWorkers
    from api.core.uploads import Uploads


class ShownPictures:
    """One per API process; safe to use from many requests at once."""

    def __init__(self, uploads: Uploads, live_workers: LiveWorkers, making: CopyMaking) -> None:
        self._uploads = uploads
        self._live_workers = live_workers
        self._making = making

    def open(self, picture: str, client: Client) -> IO[bytes]:
        """A clean copy of a stored picture, as a file.

        Raises:
            PictureNotFound: no picture has this name (any more).
            NoWorker: none makes copies.
            ServiceError: as ``CopyMaking.open``.
        """
        if picture not in self._uploads.store:
            raise PictureNotFound(NOT_FOUND)
        with suppress(PictureNotFound):
            return self._uploads.copies.open(picture)
        pool = self._live_workers.default_pool()
        if not pool.makes_copies:
            raise NoWorker("no worker that makes copies of pictures is ready", ALIVE_FOR_S)
        return self._making.open(CopyJob(picture), pool, client)

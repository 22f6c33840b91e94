"""Stored pictures with what was found in them: a worker draws it, once for all who ask for the same."""

from __future__ import annotations

from contextlib import suppress
from typing import IO, TYPE_CHECKING
from uuid import uuid4

from api.core.errors import NoWorker
from contract.errors import BackendDown, JobLost, PictureNotFound
from contract.image_store import NOT_FOUND
from contract.messages import DrawJob
from contract.worker_registry import ALIVE_FOR_S

if TYPE_CHECKING:
    from api.core.client import Client
    from api.core.copy_making import CopyMaking
    from api.core.live_workers import LiveWorkers, WorkerPool
    from api.core.uploads import Uploads
    from contract.messages import Detection

MOST_OF_A_PICTURE = 8  # of each minimum score another one: the oldest goes


class DrawnPictures:
    """One per API process; safe to use from many requests at once. They are kept as clean copies are, and as long.

    Args:
        shared: whether one that is there serves later requests, unless their sender shares nothing.
    """

    def __init__(self, uploads: Uploads, live_workers: LiveWorkers, making: CopyMaking, *, shared: bool) -> None:
        self._uploads = uploads
        self._live_workers = live_workers
        self._making = making
        self._shared = shared

    def open(self, picture: str, detection: Detection, client: Client, media_type: str) -> IO[bytes]:
        """A clean copy of a stored picture with all objects of ``detection`` drawn on it, as a file.

        It can be read to its end even if it is deleted meanwhile. Nothing is left of one whose sender shares nothing.

        Args:
            detection: the objects that are to be seen, chosen already.
            media_type: one of ``DRAWN_TYPES``.

        Raises:
            PictureNotFound: no picture has this name (any more).
            NoWorker: none draws.
            JobLost: too many others of this picture were asked for at the same time.
            ServiceError: as ``CopyMaking.open``.
        """
        if picture not in self._uploads.store:
            raise PictureNotFound(NOT_FOUND)
        shared = self._shared and not client.private
        apart = "" if shared else uuid4().hex
        job = DrawJob(picture, media_type, detection.width, detection.height, detection.objects, apart)
        if shared:
            with suppress(PictureNotFound):
                return self._uploads.copies.open(job.copy_name)
        try:
            return self._making.open(job, self._pool(detection), client)
        except PictureNotFound as error:
            if picture not in self._uploads.store:
                raise
            raise JobLost("the drawn picture could not be kept; please try again") from error
        finally:
            self._clear(job, shared=shared)

    def _pool(self, detection: Detection) -> WorkerPool:
        """Who has found the objects or, if none of them draws, whoever does."""
        pools = self._live_workers.fleet().pools
        own = [pools[detection.key]] if detection.key in pools else []
        for pool in [*own, *pools.values()]:
            if pool.draws:
                return pool
        raise NoWorker("no worker that draws on pictures is ready", ALIVE_FOR_S)

    def _clear(self, job: DrawJob, *, shared: bool) -> None:
        """What can't be deleted now goes with its picture."""
        with suppress(OSError, BackendDown):
            names = [name for name in self._uploads.copies.names(job.picture) if name != job.picture]
            for name in names[:-MOST_OF_A_PICTURE] if shared else [job.copy_name]:
                self._uploads.remove_copy(name)

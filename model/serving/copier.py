"""Making clean copies of stored pictures, plain or with objects drawn on them, for the API to show."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from contract.errors import PictureNotFound
from contract.messages import Copied, CopyJob, Failure, Lost
from model.clean_copy import clean_copy
from model.detection.drawn import drawn_picture
from model.errors import PictureError

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.copy_store import Copies
    from contract.image_store import PictureStore
    from contract.messages import DrawJob
    from model.decode import Decoder

log = logging.getLogger(__name__)


class Copier:
    """Reads from the store of pictures, which it can't write, and writes to that of copies.

    Args:
        decoder: reads the pictures; who made it closes it.
    """

    def __init__(self, pictures: PictureStore, copies: Copies, decoder: Decoder) -> None:
        self._pictures = pictures
        self._copies = copies
        self._decoder = decoder

    def make(self, job: CopyJob | DrawJob, on_progress: Callable[[], None]) -> Copied | Failure | Lost:
        """Make one copy; ``Lost`` if the picture is gone, or its copy can't be stored.

        ``on_progress`` is called between the steps that take long.

        Raises:
            BackendDown: a bucket can't be reached.
        """
        try:
            image = self._pictures.read(job.picture)
            if isinstance(job, CopyJob):
                copy = clean_copy(image, self._decoder, on_progress)
            else:
                copy = drawn_picture(image, job, self._decoder, on_progress)
            self._copies.put(job.copy_name, copy)
        except PictureNotFound:
            return Lost()
        except PictureError as error:
            return Failure(error.kind, str(error))
        except OSError as error:
            log.error("a copy of picture %s can't be stored: %s", job.picture, error)  # noqa: TRY400  the disk is full
            return Lost()
        if job.picture not in self._pictures:  # deleted meanwhile, and whoever did that has seen no copy
            self._copies.remove(job.copy_name)
            return Lost()
        return Copied(len(copy))

"""Keeping inspections, and of those whose pictures are wanted, the pictures."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from contract.errors import BackendDown, StoreFull

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from api.feedback.pictures import ReportedPictures
    from api.inspection.filter import InspectionFilter
    from api.inspection.log import InspectionLog
    from api.inspection.record import Inspection

log = logging.getLogger(__name__)


class Inspections:
    """One per API process.

    Args:
        log: where they are written.
        pictures: where their pictures are kept.
        every: of good parts every so many-th picture of this process is kept; 0 for none. Those of bad ones always are.
    """

    def __init__(self, log: InspectionLog, pictures: ReportedPictures, *, every: int) -> None:
        self._log = log
        self._pictures = pictures
        self._every = every
        self._good = count()

    def keep(self, inspection: Inspection) -> Inspection | None:
        """Keep one, with its picture if that is wanted and there is room; None if it could not be kept.

        Nothing is raised: whoever has sent the picture waits for the decision.
        """
        if self._wants_picture(inspection):
            self._pictures.keep(inspection.picture)  # first: a crash in between must not cost it its picture
        kept = replace(inspection, kept=inspection.picture in self._pictures)
        try:
            self._log.append(kept)
        except (BackendDown, StoreFull) as error:
            log.warning("an inspection was not kept: %s", error)
            return None
        return kept

    def newest_first(self, wanted: InspectionFilter) -> Iterator[Inspection]:
        """Those that are wanted.

        Raises:
            BackendDown: they can't be read.
        """
        return (inspection for inspection in self._log.newest_first() if wanted.matches(inspection))

    def find(self, inspection_id: str) -> Inspection | None:
        """Raises BackendDown: they can't be read."""
        return next((found for found in self._log.newest_first() if found.id == inspection_id), None)

    def has_picture(self, inspection: Inspection) -> bool:
        """Whether its picture is still kept: somebody may have deleted it."""
        return inspection.kept and inspection.picture in self._pictures

    def open_picture(self, name: str) -> IO[bytes]:
        """A kept picture.

        Raises:
            PictureNotFound: none of this name is kept.
        """
        return self._pictures.store.open(name)

    def _wants_picture(self, inspection: Inspection) -> bool:
        if not inspection.decision:
            return True
        return self._every > 0 and next(self._good) % self._every == 0

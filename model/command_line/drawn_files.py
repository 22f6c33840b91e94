"""Pictures with what was found drawn on them, in a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from model.command_line.output import printable, reason_of
from model.command_line.program import CannotBegin
from model.detection.drawn import boxes_of
from model.drawing import draw_on
from model.encoding import encoded_png
from model.shown_pixels import shown_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contract.messages import Detection
    from model.decode import Decoder

SUFFIX = ".png"


class DrawnFiles:
    """A PNG for each picture; nothing that is there is overwritten.

    They lie below the folder as the pictures lie below the one that they have in common, and keep their whole names:
    ``cat.jpg`` becomes ``cat.jpg.png``. So no two pictures have one place.

    Args:
        folder: of the drawn ones.
        pictures: at least one.
    """

    def __init__(self, folder: Path, pictures: Sequence[Path]) -> None:
        self._folder = folder
        self._common = os.path.commonpath([_absolute(picture).parent for picture in pictures])
        self._pictures = pictures
        self._done: set[Path] = set()

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            CannotBegin: it can't be made, or one of the drawn pictures is there already.
        """
        for place in map(self.place, self._pictures):
            if os.path.lexists(place):
                raise CannotBegin(f"{printable(place)} is there already: name another folder with --draw")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotBegin(f"--draw {printable(self._folder)}: {reason_of(error)}") from error

    def place(self, picture: Path) -> Path:
        """Where the picture is drawn."""
        relative = _absolute(picture).relative_to(self._common)
        return self._folder / relative.with_name(relative.name + SUFFIX)

    def write(self, picture: Path, detection: Detection, decoder: Decoder) -> Path:
        """Draw the picture; one that is among the pictures twice is drawn once.

        Returns:
            Its place.

        Raises:
            PictureError: as ``shown_pixels``.
            OSError: it can't be read any more, or not be written.
        """
        place = self.place(picture)
        if place in self._done:
            return place
        pixels = shown_pixels(picture.read_bytes(), decoder)
        draw_on(pixels, boxes_of(detection))
        place.parent.mkdir(parents=True, exist_ok=True)
        _write_new(place, encoded_png(pixels))
        self._done.add(place)
        return place


def _write_new(place: Path, data: bytes) -> None:
    """A file with all of it, or none."""
    with place.open("xb") as file:
        try:
            file.write(data)
            file.flush()
        except BaseException:
            place.unlink()
            raise


def _absolute(picture: Path) -> Path:
    """Links are not followed: two names in one folder stay two."""
    return Path(os.path.abspath(picture))  # noqa: PTH100  Path.absolute keeps ..

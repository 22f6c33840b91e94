"""What a detector has found, drawn on the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contract.patterns.pattern import RelativeBox
from model.drawing import COLOURS, Drawn, draw_on
from model.encoding import encoded_jpeg, encoded_png
from model.shown_pixels import shown_pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.messages import DetectedObject, DrawJob
    from model.decode import Decoder

LINE_PX = 2
_ENCODED = {"image/jpeg": encoded_jpeg, "image/png": encoded_png}


def drawn_picture(image: bytes, job: DrawJob, decoder: Decoder, on_progress: Callable[[], None]) -> bytes:
    """The picture as it is shown, with the job's objects on it, of the media type that it names.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``shown_pixels`` does.
    """
    pixels = np.require(shown_pixels(image, decoder, on_progress), requirements=["C", "W"])  # not all can be written to
    draw_on(pixels, [_box(found, job.width, job.height) for found in reversed(job.objects)])
    return _ENCODED[job.media_type](pixels)


def _box(found: DetectedObject, width: int, height: int) -> Drawn:
    """The best object's lies on top; a colour stands for a class, as far as there are colours."""
    box = RelativeBox(
        found.box.left / width, found.box.top / height, found.box.right / width, found.box.bottom / height
    )
    return Drawn(box, COLOURS[found.index % len(COLOURS)], LINE_PX, f"{found.label} {found.score:.2f}")

"""What a detector has found, drawn on the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.patterns.pattern import RelativeBox
from model.drawing import COLOURS, Drawn, draw_on
from model.encoding import encoded_jpeg, encoded_png
from model.shown_pixels import shown_pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.messages import Detection, DrawJob
    from model.decode import Decoder

LINE_PX = 2
_ENCODED = {"image/jpeg": encoded_jpeg, "image/png": encoded_png}


def drawn_picture(image: bytes, job: DrawJob, decoder: Decoder, on_progress: Callable[[], None]) -> bytes:
    """The picture as it is shown, with the job's objects on it, of the media type that it names.

    ``on_progress`` is called as by ``shown_pixels``, and once it is decoded: a thousand objects take seconds to draw.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``shown_pixels`` does.
    """
    pixels = shown_pixels(image, decoder, on_progress)
    on_progress()
    draw_on(pixels, boxes_of(job))
    return _ENCODED[job.media_type](pixels)


def boxes_of(found: DrawJob | Detection) -> list[Drawn]:
    """The best object's lies on top; a colour stands for a class, as far as there are colours."""
    return [
        Drawn(
            RelativeBox(
                entry.box.left / found.width,
                entry.box.top / found.height,
                entry.box.right / found.width,
                entry.box.bottom / found.height,
            ),
            COLOURS[entry.index % len(COLOURS)],
            LINE_PX,
            f"{entry.label} {entry.score:.2f}",
        )
        for entry in reversed(found.objects)
    ]

"""What travels between a worker and its sandbox: a request and a picture there, pixels or a refusal back."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from model.errors import DamagedImage, PictureError, TooManyPixels, UnsupportedImage

if TYPE_CHECKING:
    from cv2.typing import MatLike

    from contract.image_header.header import Size

REQUEST = struct.Struct(">IQ")  # bytes of the request, as JSON, and of the picture; both follow
# Bytes of the refusal, as JSON, or 0; height and width of the pixels; profile_applied; height and width of the picture.
REPLY = struct.Struct(">IIIIII")
STATUS = struct.Struct(">i")  # a reader's exit code, below zero for a signal


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeRequest:
    """How a picture is wanted.

    Attributes:
        media_type: as ``contract.image_header.media_type`` gives it.
        pixels: that its header states, width x height; its limits are measured by them.
        shorter_side: of the size that its header states.
        reduction: over how many pixels a side one of that size is averaged, 1 for not at all.
        exif_orientation: whether it is turned as its metadata say.
        strict: whether damage is refused; otherwise what is there is shown.
    """

    media_type: str
    pixels: int
    shorter_side: int
    reduction: int
    exif_orientation: bool
    strict: bool


class Found(NamedTuple):
    """What came of a picture.

    Attributes:
        pixels: uint8, shape (height, width, 3), channels blue, green, red.
        profile_applied: whether its colour profile has changed its colours; False without one.
        size: of the whole picture, turned as ``pixels`` are, which may have come smaller.
    """

    pixels: MatLike
    profile_applied: bool
    size: Size


class Refusal(NamedTuple):
    """Why, a key of ``REFUSALS``, and a sentence for the sender."""

    why: str
    detail: str


REFUSALS: dict[str, type[PictureError]] = {
    "damaged": DamagedImage,
    "unsupported": UnsupportedImage,
    "too large": TooManyPixels,
}

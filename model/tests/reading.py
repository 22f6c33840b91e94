"""Reading a picture as the sandbox does, without its process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.image_header import media_type
from model.sandbox import picture
from model.sandbox.messages import DecodeRequest
from model.sandbox.process import load_decoders

if TYPE_CHECKING:
    from cv2.typing import MatLike


def read(
    image: bytes,
    *,
    strict: bool = True,
    exif_orientation: bool = True,
    reduction: int = 1,
    max_pixels: int = 1_000_000,
) -> MatLike:
    """Blue, green and red of each pixel."""
    load_decoders()
    kind = media_type(image)
    assert kind is not None
    request = DecodeRequest(
        media_type=kind,
        pixels=max_pixels,
        shorter_side=1,
        reduction=reduction,
        exif_orientation=exif_orientation,
        strict=strict,
    )
    return picture.read(image, request, max_pixels).pixels
